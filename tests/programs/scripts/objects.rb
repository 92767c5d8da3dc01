# Hashes, strings, symbols, threads, fibers, marshalling and garbage collection.
require 'digest/md5' # loaded here: autoload is not safe between threads
require 'digest/sha2'
require 'json'
require 'stringio'
require 'zlib'

random = Random.new(42)
rows = Array.new(40_000) do |i|
  { 'id' => i, 'name' => "n#{random.rand(5000)}", 'tags' => ['x' * random.rand(60), i % 7] }
end
puts rows.sort_by { |r| [r['name'], r['id']] }.values_at(0, 777, -1).inspect[0, 300]
by = rows.group_by { |r| r['name'] }
puts by.size, by.values.map(&:size).max
json = JSON.generate(rows)
puts Digest::SHA256.hexdigest(json), JSON.parse(json) == rows
puts Marshal.load(Marshal.dump(rows)) == rows
text = rows.map { |r| "#{r['name']}-#{r['tags'][0]}" }.join(' ')
puts text.gsub(/n(\d+)-(x*)/) { $2 + $1 }.size, text.scan(/x{5,}/).size
puts Zlib.crc32(Zlib::Inflate.inflate(Zlib::Deflate.deflate(text)))
lines = Queue.new
results = Queue.new
workers = Array.new(4) do
  Thread.new do
    while (n = lines.pop)
      results << [n, Digest::MD5.hexdigest((0..n % 200).map { |i| 'k' * i + n.to_s }.join)]
    end
  end
end
2000.times { |n| lines << n }
lines.close
workers.each(&:join)
puts Digest::MD5.hexdigest(Array.new(results.size) { results.pop }.sort.inspect)
fibers = Array.new(500) { |n| Fiber.new { 4.times { |k| Fiber.yield(n * k) } } }
puts 4.times.sum { fibers.sum(&:resume) }
10.times do
  rows = rows.map { |r| r.merge('name' => r['name'] + '!') }
  GC.start
end
GC.compact if GC.respond_to?(:compact)
puts rows.sum { |r| r['name'].size }
child = fork { exit!(rows.first['name'].size) }
puts Process.wait2(child)[1].exitstatus
