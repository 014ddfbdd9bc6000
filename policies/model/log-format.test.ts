import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseLogFormat } from './log-format.ts';

const parts = (text: string) => {
  const parsed = parseLogFormat(text);
  assert.ok(parsed.ok, text);
  return parsed.value;
};

test('operators between literals, with arguments, alternatives and lengths', () => {
  assert.deepEqual(parts('a %PROTOCOL% 100%% %REQ(X-A?:PATH):12%%RESPONSE_CODE%z'), [
    'a ',
    { field: 'PROTOCOL', charsMax: 0 },
    ' 100% ',
    { field: 'REQUEST_HEADER', name: 'x-a', alternative: ':path', charsMax: 12 },
    { field: 'RESPONSE_CODE', charsMax: 0 },
    'z',
  ]);
  assert.deepEqual(parts('%START_TIME(%Y-%m-%dT%H:%M:%S.%3f%z)%'), [
    { field: 'START_TIME', format: '%Y-%m-%dT%H:%M:%S.%3f%z', charsMax: 0 },
  ]);
  assert.deepEqual(parts('%RESPONSE_HEADER(A)%%TRAILER(B)%'), [
    { field: 'RESPONSE_HEADER', name: 'a', alternative: '', charsMax: 0 },
    { field: 'RESPONSE_TRAILER', name: 'b', alternative: '', charsMax: 0 },
  ]);
  assert.deepEqual(parts(''), []);
});

test('what is wrong is said', () => {
  const wrong: [string, RegExp][] = [
    ['50% off', /"% off" is not a command operator/],
    ['%lower%', /is not a command operator/],
    ['%REQ(A%', /is not a command operator/],
    ['%NO_SUCH%', /%NO_SUCH% is not supported/],
    ['%DYNAMIC_METADATA(a:b)%', /is not supported/],
    ['%FILTER_STATE(a)%', /is not supported by Weft: Weft's filters leave no state/],
    ['%UPSTREAM_TLS_SESSION_ID%', /is not supported by Weft: the TLS runtime/],
    ['%COMMON_DURATION(DS_RX_BEG:US_CX_END:ms)%', /COMMON_DURATION takes two of/],
    ['%COMMON_DURATION(DS_RX_BEG:DS_TX_END)%', /COMMON_DURATION takes two of/],
    ['%QUERY_PARAM%', /needs the name of a parameter/],
    ['%QUERY_PARAMS(X)%', /takes ORIG or DECODED/],
    ['%RESPONSE_CODE_DETAILS(X)%', /takes ALLOW_WHITESPACES/],
    ['%REQUESTED_SERVER_NAME(X)%', /takes SNI_ONLY/],
    ['%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(200)%', /length of a prefix/],
    ['%COALESCE({"operators": []})%', /COALESCE takes/],
    ['%COALESCE(x)%', /COALESCE takes/],
    ['%COALESCE({"operators": [{"param": "x"}]})%', /COALESCE: command and param have to be text/],
    ['%COALESCE({"operators": ["COALESCE"]})%', /one does not stand in another/],
    ['%COALESCE({"operators": ["NO_SUCH"]})%', /COALESCE: operator %NO_SUCH%/],
    ['%COALESCE({"operators": [{"command": "PROTOCOL", "max_length": 0.5}]})%', /max_length/],
    ['%METADATA(ROUTE:a)%', /is not supported/],
    ['%REQ%', /needs the name of a header/],
    ['%REQ(a?b?c)%', /one alternative/],
    ['%PROTOCOL(x)%', /takes no argument/],
    ['%START_TIME(%Q)%', /format "%Q" of START_TIME/],
    ['%GRPC_STATUS(X)%', /GRPC_STATUS takes/],
    ['%PATH(X)%', /PATH takes/],
    ['%ENVIRONMENT%', /needs the name/],
  ];
  for (const [text, message] of wrong) {
    const parsed = parseLogFormat(text);
    assert.ok(!parsed.ok, text);
    assert.match(parsed.error, message);
  }
});

test('text without percent signs is itself, and doubled ones are single', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const parsed = parts(text.replaceAll('%', '%%'));
      assert.equal(parsed.join(''), text);
    }),
  );
});

test('any text is taken or refused, and never throws', () => {
  const piece = fc.constantFrom('%', '%%', 'REQ', '(', ')', ':', '5', '?', 'START_TIME', 'a', 'Y', '%PROTOCOL%');
  fc.assert(fc.property(fc.array(piece), (pieces) => typeof parseLogFormat(pieces.join('')).ok === 'boolean'));
});
