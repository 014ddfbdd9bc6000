import type { StrictnessCase } from './strictness-cases.testing.ts';
import { chain, empty, listener, manager, type } from './strictness-samples.testing.ts';

const stdout = type('access_loggers.stream.v3.StdoutAccessLog');
const passing = { not_health_check_filter: {} };

/** Of access logs and of local replies. */
export const strictnessLogCases: readonly StrictnessCase[] = [
  [
    'content type of an access log',
    'listener',
    listener(
      manager({
        access_log: [
          {
            name: 'a',
            typed_config: {
              ...stdout,
              log_format: { json_format: {}, content_type: 'text/plain' },
            },
          },
        ],
      }),
    ),
    `${chain}.access_log[0].typed_config.log_format.content_type`,
  ],
  [
    'filter of an access log by metadata',
    'listener',
    listener(manager({ access_log: [{ name: 'a', filter: { metadata_filter: empty }, typed_config: stdout }] })),
    `${chain}.access_log[0].filter.metadata_filter`,
  ],
  [
    'local reply without a filter',
    'listener',
    listener(manager({ local_reply_config: { mappers: [{ status_code: 500 }] } })),
    `${chain}.local_reply_config.mappers[0].filter`,
  ],
  [
    'status of a local reply',
    'listener',
    listener(manager({ local_reply_config: { mappers: [{ filter: passing, status_code: 100 }] } })),
    `${chain}.local_reply_config.mappers[0].status_code`,
  ],
  [
    'body of a local reply from a file',
    'listener',
    listener(manager({ local_reply_config: { mappers: [{ filter: passing, body: { filename: '/a' } }] } })),
    `${chain}.local_reply_config.mappers[0].body`,
  ],
  [
    'operator in a local reply',
    'listener',
    listener(manager({ local_reply_config: { body_format: { text_format_source: { inline_string: '%CEL(a)%' } } } })),
    `${chain}.local_reply_config.body_format.text_format_source`,
  ],
  [
    'operator in a field of a local reply',
    'listener',
    listener(
      manager({
        local_reply_config: {
          mappers: [{ filter: passing, headers_to_add: [{ header: { key: 'a', value: '%LOCAL_REPLY_BODY%' } }] }],
        },
      }),
    ),
    `${chain}.local_reply_config.mappers[0].headers_to_add[0].header.value`,
  ],
];
