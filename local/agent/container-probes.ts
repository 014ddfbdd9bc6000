import type { Container, Handler, Probe } from '../client/objects.ts';
import type { ContainerRole } from './container-runner.ts';
import type { HandlerResult } from './handlers.ts';
import { ProbeLoop } from './probe-loop.ts';

interface ProbePorts {
  run(handler: Handler, timeoutMs: number): Promise<HandlerResult>;
  started(): void;
  ready(ready: boolean): void;
  failed(kind: string, message: string): void;
  kill(kind: string, message: string): void;
}

/** The three probes of one run of a container: the startup probe first, the others only when it has succeeded. */
export class ContainerProbes {
  readonly #container: Container;
  readonly #role: ContainerRole;
  readonly #ports: ProbePorts;
  #loops: ProbeLoop[] = [];

  constructor(container: Container, role: ContainerRole, ports: ProbePorts) {
    this.#container = container;
    this.#role = role;
    this.#ports = ports;
  }

  start(): void {
    this.stop();
    // Init containers that run to completion have no probes (Kubernetes API, Container).
    if (this.#role === 'init') return;
    const startup = this.#container.startupProbe;
    if (startup === undefined) {
      this.#afterStartup();
      return;
    }
    this.#loop('Startup', startup, true, (success, message) => {
      if (success) this.#afterStartup();
      else this.#ports.kill('startup', message);
    });
  }

  #afterStartup(): void {
    this.#ports.started();
    const { readinessProbe, livenessProbe } = this.#container;
    if (readinessProbe === undefined) this.#ports.ready(true);
    else this.#loop('Readiness', readinessProbe, false, (success) => this.#ports.ready(success));
    if (livenessProbe !== undefined) {
      this.#loop('Liveness', livenessProbe, false, (success, message) => {
        if (!success) this.#ports.kill('liveness', message);
      });
    }
  }

  #loop(kind: string, probe: Probe, once: boolean, onVerdict: (success: boolean, message: string) => void): void {
    this.#loops.push(
      new ProbeLoop({
        probe,
        once,
        // A command costs a process each time: only cheap probes are hurried.
        eager: kind !== 'Liveness' && probe.exec === undefined,
        run: (timeoutMs) => this.#ports.run(probe, timeoutMs),
        onFailure: (message) => this.#ports.failed(kind, message),
        onVerdict: (verdict, message) => onVerdict(verdict === 'success', message),
      }),
    );
  }

  stop(): void {
    for (const loop of this.#loops) loop.stop();
    this.#loops = [];
  }
}
