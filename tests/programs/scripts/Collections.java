// Collections, strings, threads, regular expressions, compression, direct buffers (malloc's memory), exceptions.
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.*;
import java.util.stream.*;
import java.util.zip.*;

public class Collections {
    static byte[] zip(byte[] data) throws Exception {
        var out = new java.io.ByteArrayOutputStream();
        try (var z = new GZIPOutputStream(out)) { z.write(data); }
        return out.toByteArray();
    }

    public static void main(String[] args) throws Exception {
        var random = new Random(42);
        var map = new TreeMap<String, List<Integer>>();
        for (int i = 0; i < 200_000; i++)
            map.computeIfAbsent("n" + random.nextInt(20_000), k -> new ArrayList<>()).add(i);
        System.out.println(map.size() + " " + map.firstKey() + " " + map.lastEntry().getValue().size());
        String text = map.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).collect(Collectors.joining(";"));
        System.out.println(text.length() + " " + text.hashCode());
        var matcher = Pattern.compile("n1(\\d+)=\\[(\\d+),").matcher(text);
        long sum = 0;
        while (matcher.find()) sum += Long.parseLong(matcher.group(1)) * matcher.group(2).length();
        System.out.println(sum);
        var pool = Executors.newFixedThreadPool(4);
        var futures = IntStream.range(0, 40).mapToObj(n -> pool.submit(() -> {
            byte[] some = text.substring(n * 1000, n * 1000 + 200_000).getBytes(StandardCharsets.UTF_8);
            byte[] packed = zip(some);
            int back = new GZIPInputStream(new java.io.ByteArrayInputStream(packed)).readAllBytes().length;
            var direct = ByteBuffer.allocateDirect(10_000 + n * 3000);
            for (int i = 0; direct.hasRemaining(); i++) direct.put((byte) i);
            return back + direct.capacity();
        })).toList();
        long total = 0;
        for (var f : futures) total += f.get();
        System.out.println(total);
        pool.shutdown();
        System.out.println(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes())));
        try { deep(0); } catch (StackOverflowError e) { System.out.println("deep"); }
        System.out.println(new java.math.BigInteger("3").pow(20000).mod(java.math.BigInteger.TWO.pow(127)));
        for (int i = 0; i < 5; i++) System.gc();
    }

    static int deep(int n) { return deep(n + 1) + 1; }
}
