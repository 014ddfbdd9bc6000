/** One request to a bundle endpoint (SPIFFE Federation section 5): bounded, verified by its profile, without redirects. */
import { request } from 'node:https';
import type { PeerCertificate } from 'node:tls';
import { BUNDLE_CHARS_MAX, parseSpiffeBundle, type SpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import { err, type Result } from '@weft/policies/kit/result';

export interface BundleEndpoint {
  readonly url: string;
  /** Undefined: an endpoint of the Web, verified by the authorities of the system. */
  readonly spiffe: { readonly id: string; readonly anchorsPem: string } | undefined;
}

const timeoutMs = 10_000;

export function fetchBundle({ url, spiffe }: BundleEndpoint): Promise<Result<SpiffeBundle, string>> {
  // Without anchors the runtime would take the public authorities in their place.
  if (spiffe?.anchorsPem === '')
    return Promise.resolve(err('no bundle to verify the endpoint with: give a first one in "bundle"'));
  return new Promise((resolve) => {
    let over = false;
    const done = (result: Result<SpiffeBundle, string>): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      resolve(result);
      call.destroy();
    };
    const timer = setTimeout(() => done(err(`no whole answer within ${timeoutMs} ms`)), timeoutMs);
    const call = request(
      url,
      {
        agent: false,
        minVersion: 'TLSv1.2',
        headers: { accept: 'application/json' },
        ...(spiffe === undefined
          ? {}
          : {
              ca: spiffe.anchorsPem,
              allowPartialTrustChain: true,
              checkServerIdentity: (_: string, { subjectaltname }: PeerCertificate) =>
                // Section 5.2.2: an X509-SVID with exactly the SPIFFE ID that was configured.
                subjectaltname === `URI:${spiffe.id}`
                  ? undefined
                  : new Error(`the endpoint is ${subjectaltname ?? 'nobody'}, expected ${spiffe.id}`),
            }),
      },
      (response) => {
        if (response.statusCode !== 200) {
          done(err(`status ${response.statusCode}; redirects are not followed`));
          return;
        }
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > BUNDLE_CHARS_MAX) done(err(`the answer is longer than ${BUNDLE_CHARS_MAX} characters`));
        });
        response.on('end', () => done(parseSpiffeBundle(text)));
      },
    );
    call.on('error', (error) => done(err(error.message)));
    call.end();
  });
}
