//! moat, a hardened malloc for Linux, as a std.mem.Allocator: `moat.allocator` over the process's heap, `Heap` over one
//! of its own. Link with libmoat and libc. Every free says size and alignment, which moat verifies.
const std = @import("std");
const Allocator = std.mem.Allocator;

extern fn malloc(n: usize) ?*anyopaque;
extern fn aligned_alloc(alignment: usize, n: usize) ?*anyopaque;
extern fn free_sized(p: *anyopaque, n: usize) void;
extern fn free_aligned_sized(p: *anyopaque, alignment: usize, n: usize) void;
extern fn moat_heap_create() ?*anyopaque;
extern fn moat_heap_destroy(heap: *anyopaque) void;
extern fn moat_heap_aligned_alloc(heap: ?*anyopaque, alignment: usize, n: usize) ?*anyopaque;
extern fn moat_resize(p: *anyopaque, n: usize) c_int;

/// Verifies all of moat's memory, or ends the process with a report; how many chunks are live.
pub extern fn moat_check_heap() usize;
/// Bytes from p to the end of its chunk; maxInt(usize) when it is none of moat's.
pub extern fn moat_object_size(p: *const anyopaque) usize;

/// What every chunk of moat's is aligned to.
const plain = 16;

/// Over the process's heap.
pub const allocator = Allocator{ .ptr = undefined, .vtable = &process_vtable };

/// A heap for one purpose: slabs that serve nobody else, and end as a whole.
pub const Heap = struct {
    handle: *anyopaque,

    pub fn init() error{OutOfMemory}!Heap {
        return Heap{ .handle = moat_heap_create() orelse return error.OutOfMemory };
    }

    /// Ends every chunk of it, and makes their addresses inaccessible.
    pub fn deinit(heap: *Heap) void {
        moat_heap_destroy(heap.handle);
        heap.* = undefined;
    }

    pub fn allocator(heap: Heap) Allocator {
        return .{ .ptr = heap.handle, .vtable = &heap_vtable };
    }
};

const process_vtable = Allocator.VTable{ .alloc = alloc, .resize = resize, .free = free };
const heap_vtable = Allocator.VTable{ .alloc = allocInHeap, .resize = resize, .free = free };

fn alloc(_: *anyopaque, n: usize, log2_align: u8, _: usize) ?[*]u8 {
    const alignment = @as(usize, 1) << @intCast(log2_align);
    return @ptrCast(if (alignment <= plain) malloc(n) else aligned_alloc(alignment, n));
}

fn allocInHeap(heap: *anyopaque, n: usize, log2_align: u8, _: usize) ?[*]u8 {
    return @ptrCast(moat_heap_aligned_alloc(heap, @as(usize, 1) << @intCast(log2_align), n));
}

fn resize(_: *anyopaque, memory: []u8, _: u8, n: usize, _: usize) bool {
    return moat_resize(memory.ptr, n) != 0;
}

fn free(_: *anyopaque, memory: []u8, log2_align: u8, _: usize) void {
    const alignment = @as(usize, 1) << @intCast(log2_align);
    if (alignment <= plain) free_sized(memory.ptr, memory.len) else free_aligned_sized(memory.ptr, alignment, memory.len);
}

test "moat is the allocator" {
    const bytes = try allocator.alloc(u8, 77);
    defer allocator.free(bytes);
    try std.testing.expectEqual(@as(usize, 77), moat_object_size(bytes.ptr));
    for (bytes) |byte| _ = byte;
    try std.testing.expect(moat_check_heap() > 0);
}

test "standard allocator tests" {
    try std.heap.testAllocator(allocator);
    try std.heap.testAllocatorAligned(allocator);
    try std.heap.testAllocatorLargeAlignment(allocator);
    try std.heap.testAllocatorAlignedShrink(allocator);
    var heap = try Heap.init();
    defer heap.deinit();
    try std.heap.testAllocator(heap.allocator());
    try std.heap.testAllocatorAligned(heap.allocator());
    try std.heap.testAllocatorLargeAlignment(heap.allocator());
    try std.heap.testAllocatorAlignedShrink(heap.allocator());
}

test "resize in place" {
    const bytes = try allocator.alloc(u8, 100);
    try std.testing.expect(allocator.resize(bytes, 104));
    const more = bytes.ptr[0..104];
    try std.testing.expectEqual(@as(usize, 104), moat_object_size(more.ptr));
    try std.testing.expect(!allocator.resize(more, 100000));
    allocator.free(more);
}

test "a heap ends as a whole" {
    var heap = try Heap.init();
    var list = std.ArrayList(u32).init(heap.allocator());
    for (0..10000) |i| try list.append(@intCast(i));
    try std.testing.expectEqual(@as(u32, 9999), list.items[9999]);
    const address = list.items.ptr;
    heap.deinit();
    try std.testing.expectEqual(@as(usize, 0), moat_object_size(address));
}
