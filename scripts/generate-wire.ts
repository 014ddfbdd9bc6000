/**
 * Compiles the xDS `.proto` files that Weft speaks into TypeScript, at install time.
 *
 * Envoy's published API comes with @grpc/grpc-js-xds, our own additions are in policies/wire/proto.
 * The output (policies/wire/gen) is not committed: it is a pure function of locked inputs. Source
 * comments are left out, so that what a sidecar loads holds descriptors and types alone.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, createFileRegistry, fromBinary, isFieldSet, toBinary } from '@bufbuild/protobuf';
import { type EnumDescriptorProto, FieldOptionsSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { allSupportedFields } from '../policies/wire/supported-fields.ts';
import { withOwnDescriptors } from './describe-wire.ts';
import { pruneDescriptors } from './prune-descriptors.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);
const published = join(root, 'node_modules', '@grpc', 'grpc-js-xds', 'deps');
const own = join(root, 'policies', 'wire', 'proto');
const out = join(root, 'policies', 'wire', 'gen');

/** The entry points; everything that they import is compiled with them. */
const entries = [
  'envoy/config/bootstrap/v3/bootstrap.proto',
  'envoy/config/listener/v3/listener.proto',
  'envoy/config/route/v3/route.proto',
  'envoy/config/cluster/v3/cluster.proto',
  'envoy/config/endpoint/v3/endpoint.proto',
  'envoy/config/rbac/v3/rbac.proto',
  'envoy/config/trace/v3/opentelemetry.proto',
  'envoy/extensions/access_loggers/file/v3/file.proto',
  'envoy/extensions/access_loggers/stream/v3/stream.proto',
  'envoy/extensions/filters/http/cors/v3/cors.proto',
  'envoy/extensions/filters/http/ext_authz/v3/ext_authz.proto',
  'envoy/extensions/filters/http/fault/v3/fault.proto',
  'envoy/extensions/filters/http/header_mutation/v3/header_mutation.proto',
  'envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency.proto',
  'envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.proto',
  'envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.proto',
  'envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.proto',
  'envoy/extensions/filters/http/jwt_authn/v3/config.proto',
  'envoy/extensions/filters/http/rbac/v3/rbac.proto',
  'envoy/extensions/filters/http/router/v3/router.proto',
  'envoy/extensions/filters/http/stateful_session/v3/stateful_session.proto',
  'envoy/extensions/filters/listener/http_inspector/v3/http_inspector.proto',
  'envoy/extensions/filters/listener/original_dst/v3/original_dst.proto',
  'envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.proto',
  'envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.proto',
  'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
  'envoy/extensions/filters/network/rbac/v3/rbac.proto',
  'envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy.proto',
  'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto',
  'envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case.proto',
  'envoy/extensions/http/stateful_session/cookie/v3/cookie.proto',
  'envoy/extensions/http/stateful_session/header/v3/header.proto',
  'envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin.proto',
  'envoy/extensions/load_balancing_policies/least_request/v3/least_request.proto',
  'envoy/extensions/load_balancing_policies/maglev/v3/maglev.proto',
  'envoy/extensions/load_balancing_policies/random/v3/random.proto',
  'envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.proto',
  'envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.proto',
  'envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto',
  'envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.proto',
  'envoy/extensions/transport_sockets/tls/v3/secret.proto',
  'envoy/extensions/transport_sockets/tls/v3/tls.proto',
  'envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.proto',
  'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
  'envoy/service/discovery/v3/discovery.proto',
  'envoy/service/discovery/v3/ads.proto',
  'weft/v1/address.proto',
  'weft/v1/headers.proto',
  'weft/v1/overload.proto',
  'weft/ca/v1/certificates.proto',
  'spiffe/workload/workload.proto',
  'xds/type/v3/typed_struct.proto',
  'weft/quota/v1/quotas.proto',
  'weft/authorization/v1/decisions.proto',
];

/** Files that are not configuration: all of their messages are used. */
const whole = [
  'weft/authorization/v1/decisions.proto',
  'weft/quota/v1/quotas.proto',
  'envoy/service/discovery/v3/discovery.proto',
  'weft/v1/address.proto',
  'weft/ca/v1/certificates.proto',
  'spiffe/workload/workload.proto',
];

/** Custom options: they say how other implementations validate, and weigh more than the types. */
const annotations =
  /^(validate\/|udpa\/annotations\/|xds\/annotations\/|envoy\/annotations\/|google\/api\/annotations|google\/protobuf\/descriptor)/;

function dropEnumOptions(type: EnumDescriptorProto): void {
  delete type.options;
  for (const value of type.value) delete value.options;
}

/** Drops annotations from a FileDescriptorSet, keeping what changes the encoding, and what Weft does not act on. */
function reduced(image: Uint8Array): Uint8Array {
  const set = fromBinary(FileDescriptorSetSchema, image, { readUnknownFields: false });
  set.file = set.file.filter((file) => !annotations.test(file.name));
  for (const file of set.file) {
    file.dependency = file.dependency.filter((name) => !annotations.test(name));
    file.publicDependency = [];
    file.weakDependency = [];
    delete file.options;
    const pending = [...file.messageType];
    for (let message = pending.pop(); message !== undefined; message = pending.pop()) {
      pending.push(...message.nestedType);
      if (message.options?.mapEntry !== true) delete message.options;
      for (const oneof of message.oneofDecl) delete oneof.options;
      for (const field of message.field) {
        const packed = field.options !== undefined && isFieldSet(field.options, FieldOptionsSchema.field.packed);
        if (packed) field.options = create(FieldOptionsSchema, { packed: field.options?.packed ?? false });
        else delete field.options;
      }
      message.enumType.forEach(dropEnumOptions);
    }
    file.enumType.forEach(dropEnumOptions);
  }
  pruneDescriptors(set, allSupportedFields(), whole);
  return toBinary(FileDescriptorSetSchema, set);
}

/** The set itself is left beside the code, for the test that compares our descriptors with the library's. */
function useOwnDescriptors(folder: string, image: Uint8Array): void {
  for (const file of createFileRegistry(fromBinary(FileDescriptorSetSchema, image)).files) {
    const path = join(folder, `${file.name}_pb.ts`);
    const module = relative(dirname(path), join(folder, '..', 'descriptors', 'descriptors.ts'));
    writeFileSync(path, withOwnDescriptors(readFileSync(path, 'utf8'), file, module));
  }
  writeFileSync(join(folder, 'descriptors.binpb'), image);
}

if (!existsSync(published)) {
  // `npm ci --omit=dev` has no compiler; what ships is bundled from a full install.
  console.error('generate-wire: development dependencies are absent, nothing to compile');
  process.exit(0);
}

const work = mkdtempSync(join(tmpdir(), 'weft-wire-'));
const fresh = join(work, 'gen');
try {
  // buf refuses modules outside its workspace, so the four trees are joined in one folder.
  for (const tree of ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate']) {
    const from = join(published, tree);
    cpSync(from, work, {
      recursive: true,
      filter: (path) => !/\/(java|tests|v2|v2alpha\d?)$/.test(path.slice(from.length)),
    });
  }
  cpSync(own, work, { recursive: true });
  // The published validation rules use a field newer than the validate.proto published beside them;
  // the rules are not compiled into anything here, so the field is dropped.
  for (const file of globSync('envoy/**/*.proto', { cwd: work })) {
    const text = readFileSync(join(work, file), 'utf8');
    const plain = text.replaceAll(/,? *\bignore_empty: true,? */g, ' ');
    if (plain !== text) writeFileSync(join(work, file), plain);
  }
  writeFileSync(join(work, 'buf.yaml'), 'version: v2\nmodules:\n  - path: .\n');
  writeFileSync(
    join(work, 'buf.gen.yaml'),
    `version: v2
plugins:
  - local: ["${bin('node')}", "${join(root, 'node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es')}"]
    out: ${fresh}
    opt: [target=ts, import_extension=ts, erasable_syntax=true]
    include_imports: true
`,
  );
  const paths = entries.flatMap((entry) => ['--path', entry]);
  const image = join(work, 'image.binpb');
  const run = (...args: string[]): void => {
    execFileSync(bin('buf'), args, { cwd: work, stdio: ['ignore', 'inherit', 'inherit'] });
  };
  run('build', '.', ...paths, '--exclude-source-info', '-o', image);
  writeFileSync(image, reduced(readFileSync(image)));
  run('generate', image);
  useOwnDescriptors(fresh, readFileSync(image));
  // Whole or not at all: a failure leaves what was there.
  rmSync(out, { recursive: true, force: true });
  cpSync(fresh, out, { recursive: true });
} finally {
  rmSync(work, { recursive: true, force: true });
}
