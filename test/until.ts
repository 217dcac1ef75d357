/** Milliseconds after which what did not become so never will: nothing here takes a tenth of that on a busy machine. */
const PATIENCE = 600_000;

/** Resolves when something is so; looks again and again. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`it did not become so: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
