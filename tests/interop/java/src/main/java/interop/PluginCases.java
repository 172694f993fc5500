package interop;

import static interop.Kit.*;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.lang.reflect.Constructor;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Plugins, which no client knows: reached all the same. The files are those of tests/interop/plugins. */
final class PluginCases implements Main.Suite {
    private static final int BIND = 930002;
    private static final int INSTALL = 930003;

    @Override
    public void register(Map<String, Main.Case> c) {
        c.put("plugin-type", PluginCases::byType);
        c.put("plugin-sql", PluginCases::insideSql);
        c.put("plugin-bound-group", k -> bound(k, true));
        c.put("plugin-bound-topic", k -> bound(k, false));
        c.put("plugin-allocator", PluginCases::allocator);
        c.put("plugin-missing", PluginCases::missing);
    }

    /** A request that no client has, to each broker. */
    private static void ask(Kit k, int code, String fields, byte[] body) throws Exception {
        byte[] header = ("{\"code\":" + code + ",\"flag\":0,\"language\":\"JAVA\",\"opaque\":1,\"version\":0,\"extFields\":{" + fields + "}}")
            .getBytes(StandardCharsets.UTF_8);
        for (String addr : k.brokers()) {
            String[] at = addr.split(":");
            try (Socket s = new Socket(at[0], Integer.parseInt(at[1]))) {
                s.setSoTimeout(60000);
                DataOutputStream out = new DataOutputStream(s.getOutputStream());
                out.writeInt(4 + header.length + body.length);
                out.writeInt(header.length);
                out.write(header);
                out.write(body);
                out.flush();
                DataInputStream in = new DataInputStream(s.getInputStream());
                byte[] answer = new byte[in.readInt()];
                in.readFully(answer);
                String text = new String(answer, 4, answer.length - 4, StandardCharsets.UTF_8);
                if (text.contains("\"code\":3,")) throw new Main.Skip("this broker has no plugins");
                check(text.contains("\"code\":0,") || text.contains("\"code\":0}"), "request " + code + " is refused: " + text);
            }
        }
    }

    private static void install(Kit k, String name) throws Exception {
        Path file = Paths.get(System.getProperty("interop.plugins"), name + ".wasm");
        ask(k, INSTALL, "\"name\":\"" + name + "\"", Files.readAllBytes(file));
    }

    private static void bind(Kit k, String json) throws Exception {
        ask(k, BIND, "", json.getBytes(StandardCharsets.UTF_8));
    }

    /** The client has selectors for tags and SQL alone; the type of an expression is a text all the same. */
    private static MessageSelector selector(String type, String expression) throws Exception {
        Constructor<MessageSelector> c = MessageSelector.class.getDeclaredConstructor(String.class, String.class);
        c.setAccessible(true);
        return c.newInstance(type, expression);
    }

    /** Sends bodies that begin with x, y and z in turn; tells those that begin with one of some letters and have a number of at least some. */
    private static Set<String> send(Kit k, String t, String letters, int from) throws Exception {
        DefaultMQProducer p = k.producer();
        Set<String> expected = new TreeSet<>();
        for (int i = 0; i < 60; i++) {
            String first = "xyz".substring(i % 3, i % 3 + 1);
            Message m = message(t, "A", "k" + i, first + i);
            m.putUserProperty("n", String.valueOf(i));
            p.send(m);
            if (letters.contains(first) && i >= from) expected.add(first + i);
        }
        return expected;
    }

    private static void consumes(DefaultMQPushConsumer c, Set<String> expected) throws Exception {
        List<MessageExt> got = ConsumeCases.collect(c);
        c.start();
        until(30, expected.size() + " messages", () -> got.size() >= expected.size());
        settle(1000);
        same("bodies", expected, texts(ConsumeCases.copy(got)));
        same("messages", expected.size(), got.size());
    }

    static void byType(Kit k) throws Exception {
        install(k, "begins");
        String t = k.topic("a", 4);
        Set<String> expected = send(k, t, "y", 0);
        DefaultMQPushConsumer c = k.consumer(k.group("c"));
        c.subscribe(t, selector("WASM", "begins:y"));
        consumes(c, expected);
    }

    static void insideSql(Kit k) throws Exception {
        install(k, "begins");
        String t = k.topic("a", 4);
        Set<String> expected = send(k, t, "xz", 20);
        DefaultMQPushConsumer c = k.consumer(k.group("c"));
        c.subscribe(t, MessageSelector.bySql("n >= 20 AND (wasm('begins', 'x') OR NOT (wasm('begins', 'y') OR n < 20))"));
        consumes(c, expected);
    }

    static void bound(Kit k, boolean group) throws Exception {
        install(k, "begins");
        String t = k.topic("a", 4);
        Set<String> expected = send(k, t, "z", 0);
        String g = k.group("c");
        bind(k, "{\"plugin\":\"begins\",\"argument\":\"z\"," + (group ? "\"group\":\"" + g : "\"topic\":\"" + t) + "\"}");
        DefaultMQPushConsumer c = k.consumer(g);
        c.subscribe(t, "*");
        consumes(c, expected);
        bind(k, "{" + (group ? "\"group\":\"" + g : "\"topic\":\"" + t) + "\"}");
    }

    /** The last of two consumers gets all queues: once as they ask for it by name, once as it is bound to their group. */
    static void allocator(Kit k) throws Exception {
        install(k, "last");
        for (boolean bound : new boolean[] {false, true}) {
            String t = k.topic(bound ? "b" : "a", 4);
            int queues = 4 * k.brokers().size();
            String g = k.group(bound ? "d" : "c");
            if (bound) bind(k, "{\"plugin\":\"last\",\"allocator\":true,\"group\":\"" + g + "\"}");
            ConsumeCases.NoStrategy strategy = new ConsumeCases.NoStrategy(bound ? "AVG" : "last");
            DefaultMQPushConsumer[] cs = {k.consumer(g), k.consumer(g)};
            for (DefaultMQPushConsumer c : cs) {
                ConsumeCases.byBroker(c, strategy);
                c.subscribe(t, "*");
                ConsumeCases.collect(c);
                c.start();
            }
            until(30, "all queues with one consumer", () -> {
                int first = ConsumeCases.queuesOf(cs[0]).size();
                int second = ConsumeCases.queuesOf(cs[1]).size();
                return first + second == queues && first * second == 0;
            });
            settle(1000);
            same("queues", queues, ConsumeCases.queuesOf(cs[0]).size() + ConsumeCases.queuesOf(cs[1]).size());
            same("times that clients shared out", 0, strategy.asked.get());
        }
    }

    static void missing(Kit k) throws Exception {
        String t = k.topic("a", 4);
        DefaultMQPushConsumer c = k.consumer(k.group("c"));
        c.subscribe(t, selector("WASM", "nobody:x"));
        ConsumeCases.collect(c);
        try {
            c.start();
        } catch (MQClientException e) {
            check(e.getErrorMessage().contains("'nobody'"), "the plugin is not named: " + e.getErrorMessage());
            return;
        }
        throw new AssertionError("a consumer has started with a plugin that is not there");
    }
}
