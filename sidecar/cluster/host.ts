import type { Address } from '@weft/policies/model/address';
import type { Endpoint } from '@weft/policies/model/cluster';
import type { UpstreamSecurity } from '../net/connection.ts';
import { hostPort } from '../net/connection-record.ts';
import type { HttpPool } from './pool.ts';

/** One endpoint with what is under way to it. Lives as long as its address and its security stay the same. */
export class Host {
  endpoint: Endpoint;
  readonly security: UpstreamSecurity;
  readonly label: string;
  weight: number;
  active = 0;
  /** No longer among the cluster's endpoints; what is under way is finished. */
  removed = false;
  pool: HttpPool | undefined = undefined;
  /** For an original destination: what its IP stood for when this was looked up. */
  address: Address | undefined = undefined;

  constructor(endpoint: Endpoint, security: UpstreamSecurity) {
    this.endpoint = endpoint;
    this.security = security;
    this.label = hostPort(endpoint.address.ip, endpoint.address.port);
    this.weight = endpoint.weight;
  }

  get idle(): boolean {
    return this.active === 0 && (this.pool === undefined || this.pool.empty);
  }
}
