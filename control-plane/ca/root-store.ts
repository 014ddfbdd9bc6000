/** Where the root lives, so that it is made once and shared by all replicas. */
import type { TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Authority } from './authority.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import { type KeyMaterial, loadAuthority } from './material.ts';
import { createRoot } from './root.ts';

export interface RootStore {
  load(): Promise<Result<KeyMaterial | undefined, string>>;
  /** `exists` when somebody else was faster. */
  create(material: KeyMaterial): Promise<Result<'created' | 'exists', string>>;
}

/** The root that is there, or a new one; of replicas that start together all take that of the fastest. */
export async function openAuthority(
  store: RootStore,
  trustDomain: TrustDomain,
  clock: Clock,
): Promise<Result<CertificateAuthority, string>> {
  const opened = await openIssuer(store, trustDomain, clock);
  return opened.ok ? ok(new CertificateAuthority(opened.value)) : opened;
}

async function openIssuer(
  store: RootStore,
  trustDomain: TrustDomain,
  clock: Clock,
): Promise<Result<Authority, string>> {
  const options = { clock, issued: { trustDomain, dnsName: undefined } };
  const found = await store.load();
  if (!found.ok) return found;
  if (found.value !== undefined) return loadAuthority(found.value, options);
  const made = await createRoot(trustDomain, clock.unixMs());
  const created = await store.create(made);
  if (!created.ok) return created;
  if (created.value === 'created') return loadAuthority(made, options);
  const theirs = await store.load();
  if (!theirs.ok) return theirs;
  if (theirs.value === undefined) return err('the root certificate was created by another replica and is gone again');
  return loadAuthority(theirs.value, options);
}

/** For runs without Kubernetes that need not outlive their process. */
export class MemoryRootStore implements RootStore {
  private material: KeyMaterial | undefined;

  async load(): Promise<Result<KeyMaterial | undefined, string>> {
    return { ok: true, value: this.material };
  }

  async create(material: KeyMaterial): Promise<Result<'created' | 'exists', string>> {
    if (this.material !== undefined) return { ok: true, value: 'exists' };
    this.material = material;
    return { ok: true, value: 'created' };
  }
}
