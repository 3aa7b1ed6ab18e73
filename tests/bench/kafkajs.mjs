// The work of the bench as a service of DreamScape does it with KafkaJS: `eachMessage`, gzip, a send for each event. The state
// is in memory: a service that keeps it in a database pays for that as well.
//
// TASK: { brokers, name, input, work, outputs }

import { randomUUID } from 'node:crypto';
import { CompressionTypes, Kafka, Partitioners, logLevel } from 'kafkajs';

const { brokers, name, input, work, outputs } = JSON.parse(process.env.TASK);
const kafka = new Kafka({ clientId: 'bench', brokers: brokers.split(','), logLevel: logLevel.NOTHING });
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
const consumer = kafka.consumer({ groupId: name });
const documents = new Map();
const fields = ['firstName', 'lastName', 'phone', 'nationality'];

async function publish(topic, eventType, key, cause, payload) {
  const event = {
    eventId: randomUUID(),
    eventType,
    timestamp: new Date().toISOString(),
    version: '1.0',
    source: 'bench',
    correlationId: cause.correlationId,
    causationId: cause.eventId,
    payload,
  };
  await producer.send({
    topic,
    compression: CompressionTypes.GZIP,
    messages: [
      {
        key,
        value: JSON.stringify(event),
        headers: {
          eventType,
          source: event.source,
          version: event.version,
          correlationId: event.correlationId,
          timestamp: event.timestamp,
        },
      },
    ],
  });
}

await producer.connect();
await consumer.connect();
await consumer.subscribe({ topics: [input], fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    const event = JSON.parse(message.value.toString());
    const { userId, seq, profile } = event.payload;
    if (work === 'stateful') {
      const document = documents.get(userId) ?? { profile: {}, count: 0, lastSeq: 0 };
      const changes = {};
      for (const field of fields) {
        const old = document.profile[field] ?? '';
        if (old !== profile[field]) changes[field] = { old, new: profile[field] };
      }
      documents.set(userId, { profile, count: document.count + 1, lastSeq: seq });
      await publish(outputs[0], 'user.updated', message.key, event, { userId, changes });
    }
    await publish(outputs.at(-1), 'user.profile.updated', message.key, event, { userId, profile });
  },
});
console.log('ready');
