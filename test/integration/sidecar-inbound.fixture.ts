/** A Service with a port of HTTP and one of bytes, its callers, and who may do what. */
export const objects = (http: number, tcp: number): string => `
kind: Service
metadata: { name: cart, namespace: shop }
spec:
  clusterIPs: [10.96.0.10]
  selector: { app: cart }
  ports: [{ name: http, port: 80, targetPort: ${http} }, { name: tcp-db, port: 81, targetPort: ${tcp} }]
---
${['cart', 'web', 'stranger'].map((app, i) => podOf(app, `10.1.0.${i + 1}`)).join('\n---\n')}
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

const podOf = (app: string, ip: string): string => `
kind: Pod
metadata: { name: ${app}-a, namespace: shop, uid: uid-${app}, labels: { app: ${app} } }
spec:
  serviceAccountName: ${app}
  containers: [{ name: app }]
  initContainers: [{ name: weft-proxy, restartPolicy: Always }]
status: { phase: Running, podIP: ${ip}, podIPs: [{ ip: ${ip} }] }`;

export const tokens = `
tokens:
${['cart', 'web', 'stranger']
  .map((app) => `  - { token: ${app}, namespace: shop, serviceAccount: ${app}, pod: ${app}-a, uid: uid-${app} }`)
  .join('\n')}
`;
