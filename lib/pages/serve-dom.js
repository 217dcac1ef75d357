// Small tools of the server's page. What a user wrote is text here, never HTML.

/**
 * @template {HTMLElement} [T=HTMLInputElement]
 * @param {string} id
 */
export const find = (id) => /** @type {T} */ (document.getElementById(id));

/**
 * An element with a text.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, unknown>>} [properties]
 * @param {...(Node | string)} children
 */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A choice of names. @param {string} id @param {readonly string[]} names @param {string} [none] what stands for none */
export function fillChoice(id, names, none) {
  const options = names.map((name) => make('option', { value: name, textContent: name }));
  const first = none === undefined ? [] : [make('option', { value: '', textContent: none })];
  find(id).replaceChildren(...first, ...options);
}

/** @param {Blob} file */
export async function asUrl(file) {
  const reader = new FileReader();
  const read = new Promise((resolve, reject) => {
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
  });
  reader.readAsDataURL(file);
  return /** @type {Promise<string>} */ (read);
}

/** @param {string} text */
export function complain(text) {
  find('complaint').textContent = text;
}

/** @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));
