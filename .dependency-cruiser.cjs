/**
 * Who may import whom (docs/architecture.md, "Direction"). Paths are folders of the repository, so that the same rules
 * can be run on test/lint/planted, where one violation of each kind proves that they bite.
 */
const TEST = '([.]test[.]ts$|[.]testing[.]ts$)';
const OURS = '^(policies|sidecar|control-plane|injector|local|cli|test|scripts)/';
const only = (name, from, to, except = []) => ({
  name,
  severity: 'error',
  from: { path: from, pathNot: [TEST, ...except] },
  to: { path: OURS, pathNot: to },
});
const POL = '^policies/';
const SC = '^sidecar/';
const CP = '^control-plane/';
const INJ = '^injector/';
const LOC = '^local/';
const CLI = '^cli/';
const IO = '^(node:)?(net|tls|dgram|http|https|http2|dns|fs|child_process|worker_threads|cluster|ffi|sqlite)(/|$)';

module.exports = {
  forbidden: [
    only('policies-is-a-leaf', POL, [POL]),
    only('model-is-pure', `${POL}model/`, [`${POL}(model|identity|kit)/`]),
    only('crds-know-no-wire', `${POL}crds/`, [`${POL}(crds|model|identity|kit)/`]),
    only('kit-is-bottom', `${POL}kit/`, [`${POL}kit/`]),
    only('sidecar-sees-contract-only', SC, [SC, `${POL}(model|identity|wire|kit)/`]),
    only('control-plane-sees-contract-only', CP, [CP, POL]),
    only('injector-sees-contract-only', INJ, [INJ, `${POL}(identity|kit|crds)/`]),
    only('local-starts-the-others', LOC, [LOC, POL, INJ, CP, SC]),
    only('cli-starts-the-others', CLI, [CLI, LOC, POL, INJ, CP, SC]),
    // Counting is a port of three methods; its types are all that the codecs see.
    only('http-model-is-bottom', `${SC}http/`, [`${SC}(http|net)/`, `${SC}telemetry/record[.]ts$`, POL]),
    only('route-is-pure', `${SC}route/`, [`${SC}(route|http|net)/`, POL]),
    only('cluster-below-filters', `${SC}cluster/`, [`${SC}(cluster|http|net|identity|telemetry)/`, POL]),
    only('xds-knows-no-runtime', `${SC}xds/`, [`${SC}xds/`, POL]),
    only('index-is-pure', `${CP}index/`, [`${CP}index/`, POL]),
    only('kube-feeds-index-only', `${CP}kube/`, [`${CP}(kube|index)/`, POL]),
    only('translate-is-pure', `${CP}translate/`, [`${CP}(translate|index)/`, `${POL}(model|identity|crds|kit)/`]),
    only('ads-server-sees-snapshots-only', `${CP}xds/`, [`${CP}xds/`, POL]),
    {
      name: 'filters-are-strangers',
      severity: 'error',
      from: { path: `${SC}filters/([^/]+)/`, pathNot: TEST },
      to: { path: `${SC}filters/[^/]+/`, pathNot: `${SC}filters/$1/` },
    },
    {
      name: 'pure-parts-do-no-io',
      severity: 'error',
      from: {
        path: `(${POL}|${SC}(route|cluster/picker)/|${CP}(index|translate)/|${INJ}plan[.]ts)`,
        pathNot: [TEST, `${POL}kit/ip[.]ts$`],
      },
      to: { dependencyTypes: ['core'], path: IO },
    },
    {
      name: 'ffi-in-few-files',
      severity: 'error',
      from: {
        pathNot: [
          TEST,
          `${SC}net/socket-options[.]ts$`,
          `${SC}overload/(compiler|descriptor-count|give-back|one-poll)[.]ts$`,
          `${CP}ca/pkcs11/module[.]ts$`,
          `${INJ}redirect/`,
          `${LOC}(agent|node)/`,
          '^test/',
        ],
      },
      to: { path: '^(node:)?ffi$' },
    },
    {
      name: 'no-kubernetes-client-in-the-sidecar',
      severity: 'error',
      from: { path: `(${SC}|${POL})` },
      to: { path: '@kubernetes/client-node' },
    },
    {
      name: 'kubernetes-client-only-in-kube',
      severity: 'error',
      from: { path: CP, pathNot: [`${CP}kube/`, TEST] },
      to: { path: '@kubernetes/client-node' },
    },
    {
      name: 'product-never-imports-tests',
      severity: 'error',
      from: { path: '^(policies|sidecar|control-plane|injector|local|cli)/', pathNot: TEST },
      to: { path: `(^test/|${TEST})` },
    },
    {
      name: 'nobody-imports-main',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^(sidecar|sidecar/workload-api|control-plane|injector|cli)/main[.]ts$' },
    },
    // Two files that name each other's types are no cycle at run time.
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only', 'type-import'] } },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    parser: 'swc',
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: ['node_modules', 'policies/wire/gen'] },
    exclude: { path: ['test/lint/planted', '/dist/', 'policies/wire/gen'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.js'],
    },
  },
};
