import type { Environment, ParseResult } from '@marcbachmann/cel-js';
import type { Json } from '../json.ts';
import { celProblem, newEnvironment } from './cel-environment.ts';
import { normalizeHas } from './cel-has.ts';

/** matchConditions of admission webhooks: `request`, `object`, `oldObject` and `authorizer`-free expressions. */
let environment: Environment | undefined;

function conditionEnvironment(): Environment {
  environment ??= newEnvironment()
    .registerVariable('object', 'dyn')
    .registerVariable('oldObject', 'dyn')
    .registerVariable('request', 'dyn');
  return environment;
}

/** Undefined when the expression compiles. */
export function compileCondition(expression: string): string | undefined {
  const checked = conditionEnvironment().check(normalizeHas(expression));
  if (checked.valid) return undefined;
  return celProblem(checked.error);
}

const programs = new Map<string, ParseResult>();
const programsMax = 1000;

interface ConditionInput {
  readonly object: Json;
  readonly oldObject: Json;
  readonly request: Json;
}

export function evaluateCondition(expression: string, input: ConditionInput): boolean | Error {
  try {
    let program = programs.get(expression);
    if (program === undefined) {
      program = conditionEnvironment().parse(normalizeHas(expression));
      if (programs.size >= programsMax) programs.clear();
      programs.set(expression, program);
    }
    return program({ ...input }) === true;
  } catch (error) {
    return new Error(celProblem(error));
  }
}
