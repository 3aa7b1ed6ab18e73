// Writes tests/kafka/murmur2.tsv: what Kafka's own client makes of a thousand keys.
//
// Run from the repository's root, after `cargo test` has fetched the jars:
//     java -cp 'target/kafka/jars/*' tests/kafka/Murmur2.java > tests/kafka/murmur2.tsv

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import java.util.UUID;
import org.apache.kafka.common.utils.Utils;

public class Murmur2 {
    private static final String LETTERS = "abcXYZ019-_.:@/ \"\\éßλ日本🦀";

    public static void main(String[] arguments) {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        Random random = new Random(42);
        for (int n = 0; n < 1000; n++) {
            String key = key(n, random);
            int hash = Utils.murmur2(key.getBytes(StandardCharsets.UTF_8));
            out.print(hash + "\t" + json(key) + "\n");
        }
    }

    /** User ids as they are, and texts of every length up to 40, of one to four bytes a character. */
    private static String key(int n, Random random) {
        switch (n % 4) {
            case 0:
                return UUID.nameUUIDFromBytes(Integer.toString(n).getBytes(StandardCharsets.UTF_8)).toString();
            case 1:
                return Integer.toString(n);
            case 2:
                return "user-" + n + "@example.com";
            default:
                StringBuilder text = new StringBuilder();
                int[] letters = LETTERS.codePoints().toArray();
                for (int length = 1 + n / 4 % 40; length > 0; length--) {
                    text.appendCodePoint(letters[random.nextInt(letters.length)]);
                }
                return text.toString();
        }
    }

    private static String json(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
}
