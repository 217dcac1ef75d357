#!/usr/bin/env node
import { createProgram } from './program.js';
import { runMain } from './run.js';

await runMain(createProgram);
