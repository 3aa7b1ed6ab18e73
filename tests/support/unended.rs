//! A transaction that Kafka forgets to end, made on purpose.
//!
//! A coordinator that is killed between its decision and the markers in the partitions may leave records without an end.
//! The same comes of a producer that writes in a transaction of which the coordinator was never told. No client library
//! does that, and a broker refuses it unless its `transaction.partition.verification.enable` is off; so the two requests
//! that it takes are written here: [InitProducerId](https://kafka.apache.org/protocol#The_Messages_InitProducerId) in
//! version 0, and [Produce](https://kafka.apache.org/protocol#The_Messages_Produce) in version 3 with one
//! [batch](https://kafka.apache.org/documentation/#recordbatch) of records.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, anyhow, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use sandman_engine::clock;

use crate::broker::{block_on, client};
use crate::consumer::{Reader, Seen};
use crate::wait::{PATIENCE, eventually};
use crate::{Result, World};

const PRODUCE: (i16, i16) = (0, 3);
const INIT_PRODUCER_ID: (i16, i16) = (22, 0);
/// The coordinator is not ready, or ends what was open before.
const NOT_YET: [i16; 4] = [14, 15, 16, 51];
/// The broker looks for the transaction: what it was told to leave off reaches it a moment later.
const STRICT: i16 = 48;

/// Who has the relay's transactional id, and writes as the relay would.
pub struct Unended {
    broker: TcpStream,
    transactional_id: String,
    producer: (i64, i16),
}

impl Unended {
    /// Takes the relay's transactional id over. What was open ends as aborted.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn begin(world: &World) -> Result<Self> {
        let brokers = world.cluster()?.brokers();
        let admin: AdminClient<DefaultClientContext> = client(brokers).create().context("no admin client")?;
        let lax =
            AlterConfig::new(ResourceSpecifier::Broker(1)).set("transaction.partition.verification.enable", "false");
        let changed = block_on(admin.alter_configs(&[lax], &AdminOptions::new()))?;
        for broker in changed {
            broker.map_err(|(_, code)| anyhow!("the broker stays strict: {code}"))?;
        }
        let broker = TcpStream::connect(brokers).context("no broker")?;
        broker.set_read_timeout(Some(PATIENCE))?;
        let transactional_id = format!("{}-relay-0", world.deployment());
        let producer = eventually("the transactional id is free", || {
            let mut body = Vec::new();
            text(&mut body, &transactional_id);
            put(&mut body, &60_000_i32.to_be_bytes());
            let mut answer = &*call(&broker, INIT_PRODUCER_ID, &body)?;
            let [_throttled, error] = [int(&mut answer, 4)?, int(&mut answer, 2)?];
            match error as i16 {
                0 => Ok(Some((int(&mut answer, 8)?, int(&mut answer, 2)? as i16))),
                code if NOT_YET.contains(&code) => Ok(None),
                code => bail!("the transactional id is refused: error {code}"),
            }
        })?;
        Ok(Self {
            broker,
            transactional_id,
            producer,
        })
    }

    /// The records of a topic that were taken back, or are in a transaction that has no end.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn unseen(world: &World, topic: &str) -> Result<Vec<Seen>> {
        let seen = world.all_of(topic)?;
        let mut all = Reader::open(world.cluster()?.brokers(), topic, "read_uncommitted")?.into_end()?;
        all.retain(|record| !seen.contains(record));
        Ok(all)
    }

    /// Writes records to a topic, each to the partition that it names. Once for each topic.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn write(&self, topic: &str, records: &[Seen]) -> Result {
        let mut partitions: BTreeMap<i32, Vec<&Seen>> = BTreeMap::new();
        for record in records {
            partitions.entry(record.partition).or_default().push(record);
        }
        partitions
            .iter()
            .try_for_each(|(partition, records)| self.produce(topic, *partition, records))
    }

    fn produce(&self, topic: &str, partition: i32, records: &[&Seen]) -> Result {
        let batch = self.batch(records)?;
        let mut body = Vec::new();
        text(&mut body, &self.transactional_id);
        put(&mut body, &(-1_i16).to_be_bytes());
        put(&mut body, &30_000_i32.to_be_bytes());
        put(&mut body, &1_i32.to_be_bytes());
        text(&mut body, topic);
        put(&mut body, &1_i32.to_be_bytes());
        put(&mut body, &partition.to_be_bytes());
        put(&mut body, &i32::try_from(batch.len())?.to_be_bytes());
        put(&mut body, &batch);
        eventually(
            "the broker takes records of a transaction that it does not know",
            || {
                let answer = call(&self.broker, PRODUCE, &body)?;
                // One topic of one partition: what is before the partition's error code has a known length.
                let mut answer = answer.get(4 + 2 + topic.len() + 4 + 4..).context("a short answer")?;
                match int(&mut answer, 2)? as i16 {
                    0 => Ok(Some(())),
                    STRICT => Ok(None),
                    code => bail!("the records are refused: error {code}"),
                }
            },
        )
    }

    fn batch(&self, records: &[&Seen]) -> Result<Vec<u8>> {
        const TRANSACTIONAL: i16 = 0x10;
        let (id, epoch) = self.producer;
        let count = i32::try_from(records.len())?;
        let now = clock::wall_millis().to_be_bytes();
        let mut covered = Vec::new();
        put(&mut covered, &TRANSACTIONAL.to_be_bytes());
        put(&mut covered, &(count - 1).to_be_bytes());
        put(&mut covered, &now);
        put(&mut covered, &now);
        put(&mut covered, &id.to_be_bytes());
        put(&mut covered, &epoch.to_be_bytes());
        put(&mut covered, &0_i32.to_be_bytes());
        put(&mut covered, &count.to_be_bytes());
        for (offset, record) in (0..).zip(records) {
            let record = encoded(record, offset)?;
            varint(&mut covered, i64::try_from(record.len())?);
            put(&mut covered, &record);
        }
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&covered);
        let mut batch = Vec::new();
        put(&mut batch, &0_i64.to_be_bytes());
        // Behind the length: the leader's epoch, the format, the checksum.
        put(&mut batch, &i32::try_from(4 + 1 + 4 + covered.len())?.to_be_bytes());
        put(&mut batch, &(-1_i32).to_be_bytes());
        put(&mut batch, &[2]);
        put(&mut batch, &checksum.to_be_bytes());
        put(&mut batch, &covered);
        Ok(batch)
    }
}

fn encoded(record: &Seen, offset: i64) -> Result<Vec<u8>> {
    let mut bytes = vec![0];
    varint(&mut bytes, 0);
    varint(&mut bytes, offset);
    field(&mut bytes, record.key.as_deref())?;
    field(&mut bytes, record.value.as_deref())?;
    varint(&mut bytes, i64::try_from(record.headers.len())?);
    for header in &record.headers {
        field(&mut bytes, Some(header.name.as_bytes()))?;
        field(&mut bytes, header.value.as_deref())?;
    }
    Ok(bytes)
}

fn field(bytes: &mut Vec<u8>, value: Option<&[u8]>) -> Result {
    let Some(value) = value else {
        varint(bytes, -1);
        return Ok(());
    };
    varint(bytes, i64::try_from(value.len())?);
    put(bytes, value);
    Ok(())
}

/// Signs last, seven bits a byte, the lowest first.
fn varint(bytes: &mut Vec<u8>, number: i64) {
    let mut left = ((number << 1) ^ (number >> 63)) as u64;
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}

fn put(bytes: &mut Vec<u8>, more: &[u8]) {
    bytes.extend_from_slice(more);
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, &(text.len() as i16).to_be_bytes());
    put(bytes, text.as_bytes());
}

/// The next number of an answer, of so many bytes.
fn int(answer: &mut &[u8], length: usize) -> Result<i64> {
    let (bytes, rest) = answer.split_at_checked(length).context("a short answer")?;
    *answer = rest;
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let sign = if negative { -1 } else { 0 };
    Ok(bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte)))
}

/// One request, and what it is answered, without its number.
fn call(mut broker: &TcpStream, (key, version): (i16, i16), body: &[u8]) -> Result<Vec<u8>> {
    let mut request = Vec::new();
    put(&mut request, &key.to_be_bytes());
    put(&mut request, &version.to_be_bytes());
    put(&mut request, &7_i32.to_be_bytes());
    text(&mut request, "unended");
    put(&mut request, body);
    broker.write_all(&i32::try_from(request.len())?.to_be_bytes())?;
    broker.write_all(&request)?;
    let mut length = [0; 4];
    broker.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
    broker.read_exact(&mut answer)?;
    ensure!(answer.starts_with(&7_i32.to_be_bytes()), "an answer to something else");
    Ok(answer.split_off(4))
}
