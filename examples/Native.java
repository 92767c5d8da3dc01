/** JNI: what native code allocates is moat's, the Java heap is not. See native.c; run: moat run -- java Native [overflow] */
public class Native {
    private static native int fill(int allocated, int written);

    public static void main(String[] args) {
        System.load(System.getenv("NATIVE"));
        int extra = args.length > 0 && args[0].equals("overflow") ? 1 : 0;
        System.out.println(fill(24, 24 + extra));
        try {
            byte[] bytes = new byte[24];
            bytes[24 + extra] = 1; // beyond the end: Java's own bounds
        } catch (ArrayIndexOutOfBoundsException e) {
            System.out.println("stopped by Java");
        }
    }
}
