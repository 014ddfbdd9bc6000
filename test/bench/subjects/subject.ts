import type { CertificateFiles } from '../../support/certs.ts';
import type { Program } from '../../support/pair-process.ts';

/** What speaks between two sidecars. */
export type Wire = 'h1' | 'h2';

/** Proxies that run, between the load and the application. */
export interface Subject {
  /** Where the load goes. */
  readonly port: number;
  /** Processes whose CPU time and memory count. */
  readonly programs: readonly Program[];
  /** Where further load goes; the streams that clients send have a listener of their own. */
  readonly secondPort?: number;
  /** Of the server's side in a pair: mutual TLS. */
  readonly wirePort?: number;
  readonly adminPorts?: readonly number[];
}

/** Proxies that can be started, any number of times. */
export interface Contestant {
  /** Unlike every other's of the benchmark. */
  readonly key: string;
  /** As the results show it. */
  readonly name: string;
  start(): Promise<Subject>;
}

/** Of the two workloads of a pair. */
export interface PairFiles {
  readonly client: CertificateFiles;
  readonly server: CertificateFiles;
}
