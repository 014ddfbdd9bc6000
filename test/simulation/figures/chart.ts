/** A line or bar chart as SVG: no more than the figures of the documentation need. */

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  readonly shape: 'lines' | 'bars';
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

interface Axis {
  readonly label: string;
  readonly ticks: readonly number[];
  readonly scale?: 'linear' | 'log';
  /** What stands at a tick, if not its number. */
  readonly words?: Readonly<Record<number, string>>;
}

const WIDTH = 720;
const HEIGHT = 360;
const PLOT = { left: 64, right: 688, top: 56, bottom: 312 } as const;
/** Told apart also by those who do not see all colours (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'] as const;

const escaped = (text: string): string =>
  text.replace(/[&<>]/g, (one) => ({ '&': '&amp;', '<': '&lt;' })[one] ?? '&gt;');
/** A tenth of a pixel, so that the last bits of a sum do not make another file. */
const pixel = (value: number): string => String(Math.round(value * 10) / 10);

function position({ ticks, scale }: Axis, from: number, to: number): (value: number) => number {
  const [low = 0] = ticks;
  const high = ticks.at(-1) ?? 1;
  const measure = scale === 'log' ? Math.log : (value: number): number => value;
  return (value) => from + ((measure(value) - measure(low)) / (measure(high) - measure(low))) * (to - from);
}

export function renderChart(chart: Chart): string {
  const x = position(chart.x, PLOT.left, PLOT.right);
  const y = position(chart.y, PLOT.bottom, PLOT.top);
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(chart.title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${PLOT.left}" y="20" font-size="14" font-weight="bold">${escaped(chart.title)}</text>`,
    ...grid(chart, x, y),
    ...chart.series.flatMap((series, index) => drawn(chart, series, index, x, y)),
    ...legend(chart.series),
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}

type Place = (value: number) => number;

function grid({ x: across, y: up }: Chart, x: Place, y: Place): string[] {
  const word = (axis: Axis, tick: number): string => escaped(axis.words?.[tick] ?? tick.toLocaleString('en-US'));
  return [
    ...up.ticks.flatMap((tick) => [
      `<path d="M${PLOT.left} ${pixel(y(tick))}H${PLOT.right}" stroke="#ddd"/>`,
      `<text x="${PLOT.left - 6}" y="${pixel(y(tick) + 4)}" text-anchor="end">${word(up, tick)}</text>`,
    ]),
    ...across.ticks.map(
      (tick) => `<text x="${pixel(x(tick))}" y="${PLOT.bottom + 16}" text-anchor="middle">${word(across, tick)}</text>`,
    ),
    `<path d="M${PLOT.left} ${PLOT.bottom}H${PLOT.right}" stroke="#333"/>`,
    `<text x="${(PLOT.left + PLOT.right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escaped(across.label)}</text>`,
    `<text transform="translate(14 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(up.label)}</text>`,
  ];
}

function drawn({ shape }: Chart, { points }: Series, index: number, x: Place, y: Place): string[] {
  const colour = COLOURS[index % COLOURS.length] ?? COLOURS[0];
  if (shape === 'lines') {
    const path = points.map(([a, b], at) => `${at === 0 ? 'M' : 'L'}${pixel(x(a))} ${pixel(y(b))}`).join('');
    return [`<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`];
  }
  return points.map(([a, b]) => {
    const top = y(b);
    return `<rect x="${pixel(x(a) - 3)}" y="${pixel(top)}" width="6" height="${pixel(PLOT.bottom - top)}" fill="${colour}" fill-opacity="0.6"/>`;
  });
}

function legend(series: readonly Series[]): string[] {
  let left: number = PLOT.left;
  return series.flatMap(({ name }, index) => {
    const at = left;
    left += 40 + name.length * 6.8;
    const colour = COLOURS[index % COLOURS.length] ?? COLOURS[0];
    return [
      `<rect x="${pixel(at)}" y="31" width="14" height="4" fill="${colour}"/>`,
      `<text x="${pixel(at + 20)}" y="38">${escaped(name)}</text>`,
    ];
  });
}
