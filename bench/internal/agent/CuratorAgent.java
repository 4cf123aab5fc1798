import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.retry.ExponentialBackoffRetry;

/** The agent for Curator's CuratorCache. protocol.go has the lines that it obeys. */
public final class CuratorAgent {
    private record Expectation(String id, String key, String want) {}

    private static CuratorFramework client;
    private static CuratorCache cache;
    private static String path;
    private static final ConcurrentHashMap<String, String> list = new ConcurrentHashMap<>();
    private static volatile Expectation expected;

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        ExecutorService obeying = Executors.newSingleThreadExecutor(); // so that the end of stdin is noticed whatever is being obeyed
        for (String line; (line = in.readLine()) != null; ) {
            String[] fields = line.split(" ");
            obeying.execute(() -> obeyOrSay(fields));
        }
        System.exit(0);
    }

    private static void obeyOrSay(String[] fields) {
        long began = System.nanoTime();
        try {
            obey(began, fields);
        } catch (Exception e) {
            say("failed", System.nanoTime() - began, e);
        }
    }

    private static void obey(long began, String[] fields) throws Exception {
        for (int i = 0; i < fields.length; i++) {
            fields[i] = fields[i].equals("-") ? "" : URLDecoder.decode(fields[i], StandardCharsets.UTF_8);
        }
        switch (fields[0]) {
            case "open" -> open(began, fields[1], "/" + fields[2] + "/" + fields[3], Integer.parseInt(fields[8]));
            case "expect" -> {
                expected = new Expectation(fields[1], fields[2], fields[3]);
                say("armed");
            }
            case "digest" -> digest();
            case "stats" -> {
                System.gc();
                say("stats", ManagementFactory.getThreadMXBean().getThreadCount() - 1, // without the one that waits for the next command
                        ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
            }
            case "used" -> say("used", ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos(), allocated());
            case "close" -> {
                expected = null;
                cache.close();
                client.close();
                list.clear();
                say("closed");
            }
            default -> throw new IllegalArgumentException("no command is called " + fields[0]);
        }
    }

    /** What the threads that live have allocated. */
    private static long allocated() {
        com.sun.management.ThreadMXBean threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        return Arrays.stream(threads.getThreadAllocatedBytes(threads.getAllThreadIds())).filter(bytes -> bytes > 0).sum();
    }

    private static void open(long began, String servers, String service, int timeout) throws Exception {
        path = service;
        client = CuratorFrameworkFactory.builder().connectString(servers).sessionTimeoutMs(timeout).connectionTimeoutMs(timeout)
                .retryPolicy(new ExponentialBackoffRetry(100, 29)).build();
        client.start();
        cache = CuratorCache.build(client, path);
        CountDownLatch complete = new CountDownLatch(1);
        cache.listenable().addListener(CuratorCacheListener.builder().forAll(CuratorAgent::changed)
                .forInitialized(complete::countDown).build());
        cache.start();
        complete.await();
        say("opened", System.nanoTime() - began, list.size());
    }

    private static void changed(CuratorCacheListener.Type type, ChildData before, ChildData now) {
        Instant at = Instant.now();
        ChildData node = now == null ? before : now;
        if (node.getPath().length() <= path.length()) {
            return;
        }
        String key = node.getPath().substring(path.length() + 1);
        String value = now == null ? null : new String(now.getData(), StandardCharsets.UTF_8);
        if (type == CuratorCacheListener.Type.NODE_DELETED) {
            value = null;
            list.remove(key);
        } else {
            list.put(key, value);
        }
        Expectation e = expected;
        if (e == null || !e.key.equals(key)) {
            return;
        }
        if (e.want.equals("out") ? value == null : e.want.equals("in") ? value != null : e.want.equals("=" + value)) {
            expected = null;
            say("met", e.id, at.getEpochSecond() * 1_000_000_000L + at.getNano());
        }
    }

    private static void digest() throws Exception {
        TreeSet<String> lines = new TreeSet<>();
        list.forEach((key, value) -> lines.add(key + "=" + value + "\n"));
        MessageDigest sha = MessageDigest.getInstance("SHA-256");
        sha.update(String.join("", lines).getBytes(StandardCharsets.UTF_8));
        say("digest", HexFormat.of().formatHex(sha.digest()), lines.size());
    }

    private static synchronized void say(Object... fields) {
        StringBuilder line = new StringBuilder();
        for (Object field : fields) {
            String s = String.valueOf(field);
            line.append(line.isEmpty() ? "" : " ").append(s.isEmpty() ? "-" : URLEncoder.encode(s, StandardCharsets.UTF_8));
        }
        System.out.println(line);
        System.out.flush();
    }
}
