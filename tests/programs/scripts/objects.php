<?php
// Arrays, strings, objects with cycles, regular expressions, JSON, XML and serialisation.
mt_srand(42);
$rows = [];
for ($i = 0; $i < 60000; $i++)
    $rows[] = ['id' => $i, 'name' => 'n' . mt_rand(0, 9999), 'tags' => [str_repeat('x', mt_rand(0, 40)), $i % 7]];
usort($rows, fn($a, $b) => [$a['name'], $a['id']] <=> [$b['name'], $b['id']]);
echo $rows[0]['name'], ' ', $rows[59999]['id'], "\n";
$by = [];
foreach ($rows as $row)
    $by[$row['name']][] = $row;
echo count($by), ' ', max(array_map('count', $by)), "\n";
$json = json_encode($rows);
echo md5($json), ' ', json_decode($json, true) === $rows ? 'same' : 'different', "\n";
echo md5(serialize(unserialize(serialize($rows)))), "\n";
$text = implode(' ', array_map(fn($r) => $r['name'] . '-' . $r['tags'][0], $rows));
echo strlen(preg_replace_callback('/n(\d+)-(x*)/', fn($m) => $m[2] . $m[1], $text)), "\n";
class Node { public $next; public $back; public $data; }
for ($round = 0; $round < 20; $round++) {
    $first = $last = new Node;
    for ($i = 0; $i < 3000; $i++) {
        $node = new Node;
        $node->data = str_repeat(chr(65 + $i % 26), $i % 300);
        $last->next = $node;
        $node->back = $last;
        $last = $node;
    }
    $last->next = $first;
}
unset($first, $last, $node);
echo gc_collect_cycles() > 0 ? 'collected' : 'nothing', "\n";
$out = '';
for ($i = 0; $i < 200000; $i++)
    $out .= sprintf('%04x', $i & 0xffff);
echo md5($out), ' ', crc32(gzuncompress(gzcompress($out))), "\n";
function numbers(int $n) { for ($i = 0; $i < $n; $i++) yield "k$i" => [$i, "$i"]; }
echo array_sum(array_map(fn($x) => $x[0], iterator_to_array(numbers(50000)))), "\n";
