// Elements of the API documentation.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat().filter((child) => child !== undefined && child !== ''));
  return node;
}

export const announce = (text) => { document.querySelector('#live').textContent = text; };

// Shows code in a language, with a button that copies it.
export function codeBlock(language, about, text) {
  const label = `${language}: ${about}`;
  const code = el('code', {}, text);
  const button = el('button', { type: 'button', class: 'button copy', 'aria-label': `Copy ${label}` }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      // The clipboard API needs localhost or HTTPS. Select the text instead, to copy it with the keyboard.
      getSelection().selectAllChildren(code);
      button.textContent = 'Selected';
    }
    announce(`${button.textContent}.`);
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
  return el('div', { class: 'code-block' },
    el('div', { class: 'code-head' }, el('span', {}, language), button),
    el('pre', { tabindex: 0, role: 'region', 'aria-label': label }, code));
}
