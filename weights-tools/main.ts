#!/usr/bin/env node
import { runMain } from '../lib/cli/run.js';
import { createProgram } from './program.js';

await runMain(createProgram);
