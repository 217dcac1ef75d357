/**
 * Parses JSON as Python writes it: `Infinity` and `-Infinity` become numbers, `NaN` becomes null. Scheduler
 * configurations of the DPM-Solver family contain `"lambda_min_clipped": -Infinity`, which JSON.parse refuses.
 * Throws a SyntaxError, as JSON.parse does.
 */
export function parsePythonJson(text: string): unknown {
  const plain = text.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) => {
    if (token.startsWith('"')) return token;
    if (token === 'NaN') return 'null';
    return token.startsWith('-') ? '-1e999' : '1e999';
  });
  return JSON.parse(plain);
}
