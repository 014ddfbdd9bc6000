/**
 * CEL's has() takes any field selection (`has(self[0].path)`), the library's only plain names. A selection on something else is said
 * through a bound name: `cel.bind(selected, self[0], has(selected.path))`.
 */
const boundName = 'selectedForHas';

/** The index after the text literal that starts at `start`. */
function skipText(rule: string, start: number): number {
  const quote = rule[start];
  for (let i = start + 1; i < rule.length; i++) {
    if (rule[i] === '\\') i++;
    else if (rule[i] === quote) return i + 1;
  }
  return rule.length;
}

const isQuote = (char: string | undefined): boolean => char === '"' || char === "'";

/** The index of the bracket that closes the one at `open`, or -1. */
function closing(rule: string, open: number): number {
  let depth = 0;
  for (let i = open; i < rule.length; i++) {
    const char = rule[i];
    if (isQuote(char)) i = skipText(rule, i) - 1;
    else if (char === '(' || char === '[' || char === '{') depth++;
    else if (char === ')' || char === ']' || char === '}') {
      depth--;
      if (depth === 0) return i;
    }
  }
  return -1;
}

function rewritten(argument: string): string {
  const inner = normalizeHas(argument);
  const match = /^([\s\S]*)\.\s*([A-Za-z_]\w*)\s*$/.exec(inner);
  const base = match?.[1];
  if (base === undefined || !/[[(]/.test(base)) return `has(${inner})`;
  return `cel.bind(${boundName}, ${base}, has(${boundName}.${match?.[2]}))`;
}

export function normalizeHas(rule: string): string {
  let out = '';
  let i = 0;
  while (i < rule.length) {
    if (isQuote(rule[i])) {
      const end = skipText(rule, i);
      out += rule.slice(i, end);
      i = end;
      continue;
    }
    const call = /^has\s*\(/.exec(rule.slice(i, i + 16));
    const isCall = call !== null && !/[\w.]/.test(rule[i - 1] ?? ' ');
    const end = isCall ? closing(rule, i + call[0].length - 1) : -1;
    if (isCall && end > 0) {
      out += rewritten(rule.slice(i + call[0].length, end));
      i = end + 1;
    } else out += rule[i++];
  }
  return out;
}
