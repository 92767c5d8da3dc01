// See addon.c.
const addon = require(process.env.ADDON || './addon.node');
const extra = process.argv[2] === 'overflow' ? 1 : 0;
console.log(addon.fill(24, 24 + extra).length);
console.log(Buffer.alloc(100000, 'y').toString('latin1').length);
