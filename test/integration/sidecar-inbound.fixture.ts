/** A Service with a port of HTTP and one of bytes, its callers, and who may do what. */
import { podOf, tokensOf } from './inbound-rig.fixture.ts';

const apps = ['cart', 'web', 'stranger'];
export const tokens = tokensOf(apps);

export const objects = (http: number, tcp: number): string => `
kind: Service
metadata: { name: cart, namespace: shop }
spec:
  clusterIPs: [10.96.0.10]
  selector: { app: cart }
  ports: [{ name: http, port: 80, targetPort: ${http} }, { name: tcp-db, port: 81, targetPort: ${tcp} }]
---
${apps.map((app, i) => podOf(app, `10.1.0.${i + 1}`)).join('\n---\n')}
---
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: allow-web, namespace: shop }
spec:
  selector: { matchLabels: { app: cart } }
  rules: [{ from: [{ serviceAccounts: [web] }] }, { to: [{ paths: ["/open", "/open/*"] }] }]
---
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: deny-admin, namespace: shop }
spec:
  action: DENY
  selector: { matchLabels: { app: cart } }
  rules: [{ to: [{ paths: ["/admin", "/admin/*"] }] }]
---
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: deny-backoffice, namespace: shop }
spec:
  action: DENY
  selector: { matchLabels: { app: cart } }
  rules: [{ to: [{ hosts: [backoffice.shop] }] }]
`;
