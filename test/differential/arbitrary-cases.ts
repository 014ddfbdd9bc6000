/** What goes over one connection at once: mostly one request, sometimes a broken one, sometimes several. */
import fc from 'fast-check';
import { arbitraryAnswer } from './arbitrary-answers.ts';
import { arbitraryMalformed, arbitraryRequest } from './arbitrary-requests.ts';
import type { Case, Wires } from './case.ts';

const one = (wires: Wires): fc.Arbitrary<Case> =>
  fc.record({ request: arbitraryRequest(wires.down), answer: arbitraryAnswer });

/** Requests behind each other: nothing but the last may end the connection or wait for an answer. */
function together(cases: readonly Case[]): readonly Case[] {
  return cases.map(({ request, answer }, i) => ({
    request: {
      ...request,
      version: '1.1',
      writes: 1,
      ending: i === cases.length - 1 && request.ending !== 'half-close' ? request.ending : 'keep',
      fields: request.fields.filter(([name]) => !/^(?:expect|connection)$/i.test(name)),
    },
    // When an application answers early or breaks off is another question than the order of answers.
    answer: { ...answer, early: false, fault: undefined, failure: undefined, failures: 0 },
  }));
}

export function arbitraryCases(wires: Wires): fc.Arbitrary<readonly Case[]> {
  const single = one(wires).map((value): readonly Case[] => [value]);
  const several = fc.array(one(wires), { minLength: 2, maxLength: 4 }).map(together);
  const broken = fc
    .record({ request: arbitraryMalformed, answer: arbitraryAnswer })
    .map((value): readonly Case[] => [value]);
  return wires.down === 'h1'
    ? fc.oneof({ weight: 16, arbitrary: single }, { weight: 2, arbitrary: several }, { weight: 2, arbitrary: broken })
    : fc.oneof({ weight: 9, arbitrary: single }, { weight: 1, arbitrary: several });
}
