/** The demo's programs behind one entry point: `load` is the load generator, anything else the shop. */
await (process.argv[2] === 'load' ? import('./load.ts') : import('./shop.ts'));
