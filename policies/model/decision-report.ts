/** What a sidecar tells the control plane of its decisions, since it told last. */

export interface RuleReport {
  /** `<namespace>/<policy>/<rule>`. */
  readonly rule: string;
  readonly hits: number;
}

/** Requests of one caller to one host. */
export interface FlowReport {
  /** SPIFFE ID; empty for a caller without one. */
  readonly identity: string;
  /** Of a caller without an identity. */
  readonly ip: string;
  readonly method: string;
  readonly host: string;
  /** As it was asked for, or a template. */
  readonly path: string;
  /** One of the paths that a template stands for. */
  readonly example: string;
  readonly port: number;
  readonly denied: boolean;
  readonly count: number;
}

/** Told to one control plane or more already. */
export interface PastFlow {
  readonly flow: FlowReport;
  /** Whole hours since 1970. */
  readonly hour: number;
  /** Instances of control planes that have it. */
  readonly heldBy: readonly string[];
}

export interface DecisionReport {
  readonly hits: readonly RuleReport[];
  readonly flows: readonly FlowReport[];
  /** Requests that are in none of the flows. */
  readonly lost: number;
  /** For a control plane that has begun anew. */
  readonly history?: readonly PastFlow[];
}
