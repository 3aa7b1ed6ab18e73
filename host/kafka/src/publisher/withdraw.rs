//! Aborts the transaction that Kafka has left open in the partitions.

use rdkafka::producer::Producer;

use super::super::publish_error::TransactionFault;
use super::super::wait::Deadline;
use super::sending::cursor_record;
use super::{TransactionalPublisher, not_committed};
use sandman_core::broker::{Cursor, PublishError};
use sandman_core::event::OutRecord;

impl TransactionalPublisher {
    /// Aborts transactions of this transactional id that Kafka has not ended, in the partitions of the records' topics
    /// and in the cursor's: writes a record to each partition in a transaction and aborts it. After a failure the
    /// cursor's transaction is still open.
    ///
    /// # Errors
    /// [`PublishError`]; nothing is visible.
    pub fn withdraw<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a OutRecord>,
        cursor: &Cursor,
    ) -> Result<(), PublishError> {
        let deadline = Deadline::after(self.options.patience);
        let troubles = self.troubles()?;
        self.begin()?;
        let written = self.scatter(records, cursor, deadline);
        let aborted = self.abort();
        written.map_err(not_committed)?;
        self.spent = !aborted || self.troubles()? != troubles;
        Ok(())
    }

    /// Each record in all partitions of its topic.
    fn scatter<'a>(
        &self,
        records: impl IntoIterator<Item = &'a OutRecord>,
        cursor: &Cursor,
        deadline: Deadline,
    ) -> Result<(), TransactionFault> {
        let mut sent = 0;
        for record in records {
            let client = self.alive()?.client();
            let known = client.fetch_metadata(Some(&record.topic), deadline.left());
            let known = known.map_err(|error| self.fault(&error))?;
            let known = known.topics().first().filter(|topic| topic.error().is_none());
            let partitions = known.map(|topic| topic.partitions()).unwrap_or_default();
            if partitions.is_empty() {
                // If it were left out, it would be published twice.
                return Err(TransactionFault::Passing(format!(
                    "the partitions of topic `{}` are not known",
                    record.topic
                )));
            }
            for partition in partitions {
                self.send(record, Some(partition.id()), sent, deadline)?;
                sent += 1;
            }
        }
        // Here the cursor comes last: as long as its transaction is open, the next producer knows that something is
        // left to abort.
        self.delivered(deadline)?;
        self.send(&cursor_record(&self.options.cursor_topic, cursor), None, sent, deadline)?;
        self.delivered(deadline)
    }
}
