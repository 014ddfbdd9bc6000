import { pool } from "../cluster/pool.ts"; export const client = pool;
