// The clients that DreamScape has: a KafkaJS producer with gzip, a KafkaJS consumer, and HTTP by fetch. Does what a user
// would, and prints what it was answered and what it read as one line of JSON.
//
// TASK: { brokers, prefix, url, token, user, email }

import { CompressionTypes, Kafka, logLevel } from 'kafkajs';

const { brokers, prefix, url, token, user, email } = JSON.parse(process.env.TASK);
const kafka = new Kafka({ clientId: 'tests', brokers: brokers.split(','), logLevel: logLevel.NOTHING });

const events = [];
const waiting = [];

/** Resolves once the consumer has read `count` events that `wanted` accepts. */
function read(count, wanted = () => true) {
  return new Promise((resolve) => {
    const look = () => events.filter(wanted).length >= count && resolve();
    waiting.push(look);
    look();
  });
}

async function consume() {
  const consumer = kafka.consumer({ groupId: `${prefix}tests` });
  await consumer.connect();
  const topics = ['user.updated', 'user.profile.updated', 'user.preferences.updated'].map((type) => prefix + type);
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ topic, partition, message }) => {
      const headers = Object.entries(message.headers).map(([name, value]) => [name, value.toString()]);
      events.push({
        topic: topic.slice(prefix.length),
        partition,
        key: message.key.toString(),
        headers: Object.fromEntries(headers),
        value: JSON.parse(message.value.toString()),
      });
      waiting.forEach((look) => look());
    },
  });
}

async function register() {
  const event = {
    eventId: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
    eventType: 'user.created',
    timestamp: new Date().toISOString(),
    version: '1.0',
    source: 'auth-service',
    correlationId: 'registration-1',
    payload: { userId: user, email, firstName: 'Ada', lastName: 'Lovelace', createdAt: new Date().toISOString() },
  };
  const { payload, ...rest } = event;
  const headers = {
    eventType: rest.eventType,
    source: rest.source,
    version: rest.version,
    correlationId: rest.correlationId,
    timestamp: rest.timestamp,
  };
  const producer = kafka.producer();
  await producer.connect();
  const landed = await producer.send({
    topic: `${prefix}user.created`,
    compression: CompressionTypes.GZIP,
    messages: [{ key: user, value: JSON.stringify(event), headers }],
  });
  await producer.disconnect();
  return landed[0].partition;
}

async function ask(method, path, { auth = false, json, form } = {}) {
  const headers = { 'X-Correlation-Id': `node-${method}-${path.split('/').pop()}` };
  if (auth) headers.Authorization = `Bearer ${token}`;
  if (json) headers['Content-Type'] = 'application/json';
  const reply = await fetch(url + path, { method, headers, body: json ? JSON.stringify(json) : form });
  const type = reply.headers.get('content-type') ?? '';
  const bytes = Buffer.from(await reply.arrayBuffer());
  return {
    status: reply.status,
    type,
    correlation: reply.headers.get('x-correlation-id'),
    body: type.startsWith('application/json') ? JSON.parse(bytes.toString()) : bytes.toString('base64'),
  };
}

const own = '/api/v1/users/profile';
await consume();
const partition = await register();
const replies = {};
// A registration publishes nothing; it is known as soon as it is read.
do {
  replies.registered = await ask('GET', own, { auth: true });
} while (replies.registered.body.profile?.name === '');
replies.put = await ask('PUT', own, {
  auth: true,
  json: {
    profile: { name: 'Countess', email },
    preferences: { language: 'French', currency: 'EUR', timezone: 'Europe/Paris' },
    notifications: { dealAlerts: false, tripReminders: true, priceAlerts: true, newsletter: true },
    privacy: { profileVisibility: 'friends', dataSharing: false, marketing: false },
    travel: { preferredDestinations: ['Lima'], dietary: [] },
  },
});
replies.post = await ask('POST', `${own}/${user}`, { json: { firstName: 'Ada', lastName: 'Lovelace' } });
replies.again = await ask('POST', `${own}/${user}`, { json: { firstName: 'Ada', lastName: 'King' } });
const form = new FormData();
form.append('avatar', new Blob([Buffer.from('\x89PNG\r\n\x1a\nand little else', 'latin1')], { type: 'image/png' }), 'me.png');
replies.avatar = await ask('POST', `${own}/${user}/avatar`, { form });
replies.picture = await ask('GET', replies.avatar.body.avatar);
replies.get = await ask('GET', own, { auth: true });
replies.refused = await ask('PUT', own, { auth: true, json: { profile: { email: 'nobody' } } });
replies.stranger = await ask('GET', own);
replies.deleted = await ask('DELETE', `${own}/${user}`);
replies.health = await ask('GET', '/health');
// The change's two, the post's and the picture's.
await read(4);
process.stdout.write(`${JSON.stringify({ partition, replies, events })}\n`, () => process.exit(0));
