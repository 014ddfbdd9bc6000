import { pool } from "../cluster/pool.ts"; export const codec = pool;
