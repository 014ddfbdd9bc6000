/**
 * The figures of the documentation are what the simulations give. UPDATE_GOLDEN=1 draws them anew.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderChart } from '../simulation/figures/chart.ts';
import { figures } from '../simulation/figures/figures.ts';

const folder = join(import.meta.dirname, '..', '..', 'docs', 'figures');

for (const [file, draw] of Object.entries(figures)) {
  test(`docs/figures/${file}`, () => {
    const path = join(folder, file);
    const svg = renderChart(draw());
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, svg);
    assert.equal(svg, readFileSync(path, 'utf8'));
  });
}
