import type { RetryCondition, RetryPolicy } from '@weft/policies/model/retry';
import { HeaderMatcher } from '../../route/fields.ts';

/** What is made of a policy once, for all requests of it. */
interface CompiledRetry {
  /** Some answer of an application leads to a retry, and not only that there was none. */
  readonly retriesAnswers: boolean;
  readonly response: readonly HeaderMatcher[];
  /** Empty: all requests. */
  readonly request: readonly HeaderMatcher[];
}

const compiled = new WeakMap<RetryPolicy, CompiledRetry>();

export function compiledRetry(policy: RetryPolicy): CompiledRetry {
  let known = compiled.get(policy);
  if (known === undefined) {
    known = {
      retriesAnswers: policy.retriesMax > 0 && policy.on.some(isAboutAnswers),
      response: policy.on.includes('retriable-headers')
        ? (policy.responseHeaders ?? []).map((match) => new HeaderMatcher(match))
        : [],
      request: (policy.requestHeaders ?? []).map((match) => new HeaderMatcher(match)),
    };
    compiled.set(policy, known);
  }
  return known;
}

const isAboutAnswers = (condition: RetryCondition): boolean =>
  condition !== 'connect-failure' && condition !== 'refused-stream' && condition !== 'reset';
