// JSON, maps, typed arrays, buffers, compression, regular expressions and worker threads.
'use strict';
const fs = require('fs');
const zlib = require('zlib');
const crypto = require('crypto');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

function work(n) {
  const parts = [];
  for (let i = 0; i < 3000; i++)
    parts.push(Buffer.alloc((i * n) % 900, String(i)));
  return crypto.createHash('sha256').update(Buffer.concat(parts)).digest('hex');
}

if (!isMainThread) {
  parentPort.postMessage(work(workerData));
} else {
  const records = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  const groups = new Map();
  for (const r of records)
    groups.set(r.group, [...(groups.get(r.group) || []), r]);
  console.log(groups.size, [...groups.keys()].sort((a, b) => a - b).slice(0, 9).join());
  const text = JSON.stringify(records);
  console.log(text.length, text.replace(/(\w+) (\w+)/g, '$2 $1').length);
  console.log(zlib.inflateSync(zlib.deflateSync(text)).toString() === text);
  console.log(zlib.brotliDecompressSync(zlib.brotliCompressSync(text.slice(0, 300000),
    { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } })).length);
  const numbers = Float64Array.from({ length: 300000 }, (_, i) => (i * 7919) % 100003).sort();
  console.log(numbers[1000], numbers[299999]);
  const buffers = [];
  for (let i = 0; i < 20000; i++)
    buffers[i % 500] = Buffer.alloc((i * 37) % 5000, i & 255);
  console.log(crypto.createHash('md5').update(Buffer.concat(buffers)).digest('hex'));
  Promise.all([3, 5, 7, 11].map((n) => new Promise((done, fail) => {
    const w = new Worker(__filename, { workerData: n });
    w.on('message', done);
    w.on('error', fail);
  }))).then((all) => console.log(all.join('\n')));
}
