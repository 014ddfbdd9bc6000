/**
 * Keeps the authority as store and key source want it: looks again and again, lets one root take the place of another step
 * by step, and holds on to what was good when what it reads is not.
 */
import { parseCertificate } from '@weft/policies/identity/x509/certificate';
import { decodePem, encodePem } from '@weft/policies/identity/x509/pem';
import type { Cancel } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { type Authority, isTooFresh } from './authority.ts';
import { driveFirst } from './cert-manager.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import { runCommand } from './commands.ts';
import { Hearing, type HearingOptions } from './hearing.ts';
import { joinSummaries, LeafLedger, type LeafSummary } from './ledger.ts';
import { type CaProblem, CaProblems, type ProblemOptions } from './problems.ts';
import { type Anchor, type AnchorRecord, advance, fingerprintOf, isNeeded, type RotationInputs } from './rotation.ts';
import { type KeySource, previousKeys, type Sourced } from './source.ts';
import {
  commandKey,
  deadLedgers,
  ledgerKeyOf,
  readCommand,
  readLedgers,
  readState,
  type StoredState,
  stateKey,
  writeLedger,
  writeState,
} from './state.ts';
import type { CaData, CaStore } from './store.ts';

export interface KeeperOptions extends HearingOptions, ProblemOptions {
  readonly store: CaStore;
  readonly source: KeySource;
  /** How long the workloads' certificates live, now. */
  readonly leafMsMax: () => number;
}

const lookMs = 2_000;
const ledgerEveryMs = 5 * 60_000;
const ledgerEveryWhileRetiringMs = 10_000;
/** A root of our own is replaced when a fifth of its life is left. */
const renewAtShare = 0.2;

const emptyState: StoredState = { anchors: [], forced: [], lastCommand: undefined };

export class CaKeeper {
  readonly authority: CertificateAuthority;
  readonly counters = { looks: 0, restored: 0, rotations: 0, dropped: 0 };
  readonly hearing: Hearing;
  readonly problems: CaProblems;
  private readonly options: KeeperOptions;
  private readonly ledger: LeafLedger;
  private state = emptyState;
  private sourced: Sourced;
  private others: readonly Readonly<Record<string, LeafSummary>>[] = [];
  private lastData: CaData | undefined;
  /** What the store held when its key signed. */
  private signedData: CaData | undefined;
  private ledgerWritten = { atMs: 0, text: '' };
  private timer: Cancel | undefined;
  private looking: Promise<void> | undefined;
  private stopped = false;

  private constructor(options: KeeperOptions, sourced: Sourced, authority: CertificateAuthority, ledger: LeafLedger) {
    this.options = options;
    this.sourced = sourced;
    this.authority = authority;
    this.ledger = ledger;
    this.hearing = new Hearing(options);
    this.problems = new CaProblems(options);
  }

  /** Of replicas that start together all take the root of the fastest. */
  static async open(options: KeeperOptions): Promise<Result<CaKeeper, string>> {
    const { store, source, clock } = options;
    let found = await store.load();
    if (!found.ok) return found;
    let sourced = await source.read(found.value?.data.reveal() ?? {});
    if (source.drive !== undefined && (!sourced.ok || sourced.value === undefined)) {
      const waitsFor = await driveFirst(store, source.drive);
      found = await store.load();
      if (!found.ok) return found;
      sourced = await source.read(found.value?.data.reveal() ?? {});
      if (waitsFor !== undefined && (!sourced.ok || sourced.value === undefined)) return err(waitsFor);
    } else if (sourced.ok && sourced.value === undefined) {
      if (source.generate === undefined) return err(`${source.kind}: no key and no certificate are there yet`);
      const made = await source.generate(found.value?.data.reveal() ?? {});
      if (!made.ok) return made;
      const saved = await store.save(found.value?.version, made.value);
      if (!saved.ok) return saved;
      found = await store.load();
      if (!found.ok) return found;
      sourced = await source.read(found.value?.data.reveal() ?? {});
    }
    if (!sourced.ok) return err(`${store.name}: ${sourced.error}`);
    if (sourced.value === undefined) return err(`${store.name}: the key was made and is gone again`);
    const ledger = new LeafLedger(clock);
    const { authority, previous } = sourced.value;
    // Until the first look: what the key from before signs is taken by everybody.
    const ca = new CertificateAuthority(previous ?? authority, ledger);
    const keeper = new CaKeeper(options, sourced.value, ca, ledger);
    await keeper.look();
    return ok(keeper);
  }

  start(): void {
    const next = (): void => {
      this.timer = this.options.clock.after(lookMs, () => void this.look().then(next));
    };
    next();
  }

  async stop(): Promise<void> {
    this.timer?.();
    this.stopped = true;
    await this.look();
    this.timer?.();
    this.options.source.stop?.();
  }

  /** One at a time. */
  look(): Promise<void> {
    this.looking ??= this.lookOnce()
      .catch((error: unknown) =>
        this.options.log.error('certificate authority not looked at', { reason: errorText(error) }),
      )
      .finally(() => {
        this.looking = undefined;
      });
    return this.looking;
  }

  get anchors(): readonly AnchorRecord[] {
    return this.state.anchors;
  }

  get kind(): KeySource['kind'] {
    return this.options.source.kind;
  }

  get unnamedLeaves(): number {
    return this.ledger.counters.unnamed;
  }

  /** What is wrong now; empty when nothing is. */
  problemsNow(): readonly CaProblem[] {
    return this.problems.list();
  }

  leavesOf(fingerprint: string): LeafSummary {
    const known = [this.ledger.summaries().get(fingerprint), ...this.others.map((one) => one[fingerprint])];
    return joinSummaries(known, this.options.clock.unixMs());
  }

  private async lookOnce(): Promise<void> {
    this.counters.looks += 1;
    const { store, source, isLeader } = this.options;
    const loaded = await store.load();
    if (!loaded.ok) return this.problems.say('StoreUnreachable', loaded.error);
    this.problems.say('StoreUnreachable', undefined);
    if (loaded.value === undefined) return this.restore();
    const data = loaded.value.data.reveal();
    if (await this.driven(data, loaded.value.version)) return this.lookOnce();
    this.others = readLedgers(data, this.options.replica);
    const read = await source.read(data);
    if (read.ok && read.value !== undefined) this.sourced = read.value;
    const wrong = read.ok
      ? read.value === undefined
        ? 'the key and its certificate are gone'
        : undefined
      : read.error;
    this.problems.say(
      'SourceInvalid',
      wrong === undefined ? undefined : `${store.name}: ${wrong}; the last good key goes on signing`,
    );
    const before = this.merged(data);
    const command = isLeader() ? readCommand(data) : ok(undefined);
    const decided = command.ok ? await runCommand(command.value, this.commandParts(data, before)) : undefined;
    const state = decided?.state ?? before;
    const wanted = fingerprintOf(this.sourced.authority.anchor);
    this.hearing.look(
      state.anchors.find((one) => one.fingerprint === wanted),
      data,
    );
    const step = advance(state, this.inputs(state));
    const sign = this.isTooFresh() ? 'present' : step.sign;
    this.apply({ ...state, ...step.state }, sign === 'source' ? this.sourced.authority : this.presentAuthority());
    if (wrong === undefined) this.lastData = data;
    const another = decided !== undefined && decided.data !== data;
    const signsWithSource = !another && sign === 'source' && wrong === undefined;
    if (signsWithSource) this.signedData = data;
    const waits = !another && sign === 'present' && wrong === undefined;
    const kept = waits ? this.withPrevious(data) : (decided?.data ?? data);
    const next = this.nextData(kept, signsWithSource);
    if (sameData(next, data)) return;
    const saved = await store.save(loaded.value.version, next);
    if (!saved.ok) this.problems.say('StoreUnreachable', saved.error);
    // What a command has put there is a key that the source has not read yet.
    else if (another && saved.value === 'saved') await this.lookOnce();
  }

  /** What somebody has put in the place of the key that signs: the next start is to find that one too. */
  private withPrevious(data: CaData): CaData {
    const { source, isLeader } = this.options;
    if (source.keepPrevious === undefined || this.signedData === undefined || !isLeader()) return data;
    return source.keepPrevious(this.signedData, data);
  }

  /** True: the store holds something else now. */
  private async driven(data: CaData, version: string): Promise<boolean> {
    const { store, source, isLeader } = this.options;
    if (source.drive === undefined || this.stopped) return false;
    if (!isLeader()) {
      this.problems.say('RequestFailed', undefined);
      return false;
    }
    const step = await source.drive(data);
    this.problems.say(
      'RequestFailed',
      step.problem === undefined ? undefined : `${step.problem}; the last good key signs`,
    );
    if (step.data === data) return false;
    const saved = await store.save(version, step.data);
    return saved.ok && saved.value === 'saved';
  }

  /** Somebody has deleted it all; the key is still in our memory. */
  private async restore(): Promise<void> {
    const { store, isLeader, log } = this.options;
    if (!isLeader() || this.lastData === undefined || this.stopped) return;
    log.error('certificate authority was deleted and is put back', { where: store.name });
    this.counters.restored += 1;
    const saved = await store.save(undefined, this.nextData(this.lastData, false));
    if (!saved.ok) this.problems.say('StoreUnreachable', saved.error);
  }

  /** The stored state, and what memory knows to be needed beyond it. */
  private merged(data: CaData): StoredState {
    const stored = readState(data);
    this.problems.say(
      'StateInvalid',
      stored.ok ? undefined : `${this.options.store.name}: ${stored.error}; it is written anew`,
    );
    if (!stored.ok || stored.value === undefined) return this.state;
    const known = new Set(stored.value.anchors.map((one) => one.fingerprint));
    const { forced } = stored.value;
    const wanted = new Set(this.sourced.authority.trustAnchors.map(fingerprintOf));
    // Not written yet, by whoever leads.
    const ours = this.state.anchors.filter(
      (one) => !known.has(one.fingerprint) && one.role !== 'retiring' && wanted.has(one.fingerprint),
    );
    for (const one of ours) known.add(one.fingerprint);
    const lost = this.state.anchors.flatMap((one): AnchorRecord[] => {
      if (known.has(one.fingerprint) || forced.includes(one.fingerprint)) return [];
      const untilMs = this.leavesOf(one.fingerprint).untilMs;
      const neededUntilMs = Math.max(one.neededUntilMs, untilMs);
      const kept: AnchorRecord = { ...one, role: 'retiring', neededUntilMs };
      return isNeeded(kept, this.inputs({ ...(stored.value ?? emptyState) })) ? [kept] : [];
    });
    if (lost.length > 0) this.counters.restored += 1;
    const names = lost.map((one) => one.fingerprint.slice(0, 16)).join(', ');
    if (lost.length > 0)
      this.problems.say(
        'AnchorRemovedTooEarly',
        `${this.options.store.name}: anchor ${names} was removed while it is needed; it stays in the bundle`,
      );
    else if (this.state.anchors.every((one) => one.role !== 'retiring'))
      this.problems.say('AnchorRemovedTooEarly', undefined);
    return { ...stored.value, anchors: [...stored.value.anchors, ...ours, ...lost] };
  }

  /** What can go on signing while the source's key is announced. */
  private presentAuthority(): Authority {
    const { issuer } = this.authority;
    if (issuer !== this.sourced.authority) return issuer;
    return this.sourced.previous ?? issuer;
  }

  /** Of a token the key from before may be gone already. */
  private isTooFresh(): boolean {
    const { source, clock, announceMs } = this.options;
    const { authority } = this.sourced;
    return source.kind !== 'pkcs11' && isTooFresh(authority, this.authority.issuer, clock.unixMs(), announceMs());
  }

  private inputs(state: StoredState): RotationInputs {
    const { clock, announceMs, leafMsMax } = this.options;
    const present = this.presentAuthority();
    const usable = present !== this.sourced.authority && present.notAfterMs > clock.unixMs();
    return {
      nowMs: clock.unixMs(),
      signing: fingerprintOf(this.sourced.authority.anchor),
      anchors: this.sourced.authority.trustAnchors.map(anchorOf),
      present: usable ? fingerprintOf(present.anchor) : undefined,
      announceMs: announceMs(),
      isHeard: this.hearing.isOver,
      leafMsMax: leafMsMax(),
      liveUntilMs: (fingerprint) => this.leavesOf(fingerprint).untilMs,
      forced: new Set(state.forced),
    };
  }

  private commandParts(data: CaData, state: StoredState) {
    const { source, clock } = this.options;
    const { authority } = this.sourced;
    const lifeMs = authority.certificate.notAfterMs - authority.certificate.notBeforeMs;
    const wanted = new Set(authority.trustAnchors.map(fingerprintOf));
    return {
      data,
      state,
      source,
      nowMs: clock.unixMs(),
      wanted,
      due:
        source.generate !== undefined &&
        source.drive === undefined &&
        authority.notAfterMs - clock.unixMs() < lifeMs * renewAtShare,
      leavesOf: (fingerprint: string) => this.leavesOf(fingerprint),
    };
  }

  private apply(state: StoredState, signer: Authority): void {
    const { log } = this.options;
    const before = new Map(this.state.anchors.map((one) => [one.fingerprint, one.role]));
    const first = before.size === 0;
    let changed = false;
    for (const { fingerprint, role, neededUntilMs } of state.anchors) {
      const known = before.get(fingerprint);
      before.delete(fingerprint);
      if (known === role) continue;
      changed = true;
      const until = role === 'retiring' ? { neededUntil: new Date(neededUntilMs).toISOString() } : {};
      log.info(`trust anchor ${role}`, { anchor: fingerprint, ...until });
      if (role !== 'signing' || first) continue;
      this.counters.rotations += 1;
      this.hearing.ended(fingerprint);
    }
    for (const gone of before.keys()) {
      if (state.anchors.some((one) => one.fingerprint === gone)) continue;
      this.counters.dropped += 1;
      log.info('trust anchor dropped', { anchor: gone });
    }
    this.state = state;
    if (changed || before.size > 0) this.options.onReport?.();
    this.authority.use(signer, state.anchors.flatMap(derOf));
  }

  private nextData(data: CaData, signsWithSource: boolean): CaData {
    const { isLeader, replica, clock } = this.options;
    const next: Record<string, string> = { ...data };
    if (isLeader()) {
      next[stateKey] = writeState(this.state);
      delete next[commandKey];
      // Its time is over, and nobody is to sign with it again.
      if (signsWithSource) for (const key of previousKeys) delete next[key];
      for (const key of deadLedgers(data, clock.unixMs())) delete next[key];
    }
    this.hearing.say(next);
    const text = writeLedger(this.ledger.summaries());
    const retiring = this.state.anchors.some((one) => one.role === 'retiring');
    const dueMs = this.ledgerWritten.atMs + (retiring ? ledgerEveryWhileRetiringMs : ledgerEveryMs);
    if (text !== '{}' && text !== this.ledgerWritten.text && (clock.nowMs() >= dueMs || this.stopped)) {
      this.ledgerWritten = { atMs: clock.nowMs(), text };
      next[ledgerKeyOf(replica)] = text;
    }
    return next;
  }
}

function anchorOf(der: Uint8Array): Anchor {
  const parsed = parseCertificate(der);
  const notAfterMs = parsed.ok ? parsed.value.notAfterMs : 0;
  return { fingerprint: fingerprintOf(der), pem: encodePem('CERTIFICATE', der), notAfterMs };
}

function derOf({ pem }: AnchorRecord): readonly Uint8Array[] {
  const ders = decodePem('CERTIFICATE', pem);
  return ders.ok ? ders.value : [];
}

function sameData(a: CaData, b: CaData): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
