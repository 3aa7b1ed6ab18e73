// The work of the bench on Kafka Streams: exactly-once v2, a persistent store, Jackson, two threads.
// Arguments: brokers, application id, folder of the state, input topic, work, output topics.

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public class Contender {
    public static class Profile {
        public String firstName, lastName, phone, nationality;
    }

    public static class Requested {
        public String userId;
        public long seq;
        public Profile profile;
    }

    public static class Incoming {
        public String eventId, eventType, timestamp, version, source, correlationId;
        public Requested payload;
    }

    public static class Document {
        public Profile profile = new Profile();
        public long count;
        public long lastSeq;
    }

    public record Difference(String old, @com.fasterxml.jackson.annotation.JsonProperty("new") String after) {}

    public record Updated(String userId, Map<String, Difference> changes) {}

    public record ProfileUpdated(String userId, Profile profile) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Outgoing(
            String eventId, String eventType, String timestamp, String version, String source,
            String correlationId, String causationId, Object payload) {}

    static final ObjectMapper JSON = new ObjectMapper();
    static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    static class Work implements Processor<String, byte[], String, byte[]> {
        private final boolean stateful;
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, byte[]> store;

        Work(boolean stateful) {
            this.stateful = stateful;
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            if (stateful) store = context.getStateStore("profiles");
        }

        @Override
        public void process(Record<String, byte[]> record) {
            try {
                Incoming event = JSON.readValue(record.value(), Incoming.class);
                Requested wanted = event.payload;
                if (stateful) {
                    byte[] known = store.get(record.key());
                    Document document = known == null ? new Document() : JSON.readValue(known, Document.class);
                    Profile before = document.profile;
                    Map<String, Difference> changes = new LinkedHashMap<>();
                    compare(changes, "firstName", before.firstName, wanted.profile.firstName);
                    compare(changes, "lastName", before.lastName, wanted.profile.lastName);
                    compare(changes, "phone", before.phone, wanted.profile.phone);
                    compare(changes, "nationality", before.nationality, wanted.profile.nationality);
                    document.profile = wanted.profile;
                    document.count++;
                    document.lastSeq = wanted.seq;
                    store.put(record.key(), JSON.writeValueAsBytes(document));
                    emit(record, event, "user.updated", new Updated(wanted.userId, changes));
                }
                emit(record, event, "user.profile.updated", new ProfileUpdated(wanted.userId, wanted.profile));
            } catch (java.io.IOException error) {
                throw new RuntimeException(error);
            }
        }

        private static void compare(Map<String, Difference> changes, String field, String old, String after) {
            String before = old == null ? "" : old;
            if (!before.equals(after)) changes.put(field, new Difference(before, after));
        }

        private void emit(Record<String, byte[]> record, Incoming event, String type, Object payload)
                throws java.io.IOException {
            String now = TIME.format(Instant.now());
            byte[] value = JSON.writeValueAsBytes(new Outgoing(
                    UUID.randomUUID().toString(), type, now, "1.0", "bench", event.correlationId, event.eventId, payload));
            RecordHeaders headers = new RecordHeaders();
            headers.add("eventType", bytes(type));
            headers.add("source", bytes("bench"));
            headers.add("version", bytes("1.0"));
            headers.add("correlationId", bytes(event.correlationId));
            headers.add("timestamp", bytes(now));
            context.forward(new Record<>(record.key(), value, record.timestamp(), headers), type);
        }

        private static byte[] bytes(String text) {
            return text.getBytes(StandardCharsets.UTF_8);
        }
    }

    public static void main(String[] arguments) throws Exception {
        boolean stateful = arguments[4].equals("stateful");
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[2]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put("consumer.auto.offset.reset", "earliest");
        Topology topology = new Topology();
        topology.addSource("requests", new StringDeserializer(), new ByteArrayDeserializer(), arguments[3]);
        topology.addProcessor("work", () -> new Work(stateful), "requests");
        if (stateful) {
            topology.addStateStore(
                    Stores.keyValueStoreBuilder(
                            Stores.persistentKeyValueStore("profiles"), Serdes.String(), Serdes.ByteArray()),
                    "work");
        }
        // An output topic is named after its event type, behind the run's prefix.
        for (int i = 5; i < arguments.length; i++) {
            String type = arguments[i].endsWith("user.updated") ? "user.updated" : "user.profile.updated";
            topology.addSink(type, arguments[i], new StringSerializer(), new ByteArraySerializer(), "work");
        }
        KafkaStreams streams = new KafkaStreams(topology, settings);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(5))));
        streams.start();
        System.out.println("ready");
    }
}
