// Runs the SQL on standard input in DuckDB, and prints the rows of its last statement as JSON.
import { DuckDBInstance } from "@duckdb/node-api";
import { readFileSync } from "node:fs";

const db = await (await DuckDBInstance.create(":memory:")).connect();
const rows = await db.runAndReadAll(readFileSync(0, "utf8"));
console.log(JSON.stringify(rows.getRowObjectsJson()));
