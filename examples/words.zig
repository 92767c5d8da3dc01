//! Counts words with moat as the allocator. Build: zig build-exe --dep moat ... -lc -lmoat
const std = @import("std");
const moat = @import("moat");

pub fn main() !void {
    var heap = try moat.Heap.init();
    defer heap.deinit();
    var counts = std.StringHashMap(usize).init(heap.allocator());
    var words = std.mem.tokenizeScalar(u8, "the moat around the keep and the keep in the moat", ' ');
    while (words.next()) |word| {
        const entry = try counts.getOrPutValue(try heap.allocator().dupe(u8, word), 0);
        entry.value_ptr.* += 1;
    }
    std.debug.print("the: {}, moat: {}\n", .{ counts.get("the").?, counts.get("moat").? });
}
