// Forms that send requests to the backend that serves this page, and show its responses.

import { announce, codeBlock, el } from './elements.js';

/** Longer bodies are cut off, in characters. */
const MAX_SHOWN = 100_000;
/** Values in earlier responses, by the names of parameters: `videoId`, `uploadId`, `key`. */
const known = new Map();

function remember(name, value) {
  known.set(name, value);
  for (const input of document.querySelectorAll(`.try [name="${name}"]`)) input.value = value;
}

// Remembers the values to which the links of a response refer, such as the id of the video.
function rememberLinks(links, body) {
  for (const [target, expression] of Object.values(links).flatMap(({ parameters }) => Object.entries(parameters))) {
    const [, pointer] = /^\$response\.body#\/(.*)$/.exec(expression) ?? [];
    const value = pointer?.split('/').reduce((at, name) => at?.[name], body);
    if (value !== undefined) remember(target.split('.').at(-1), String(value));
  }
}

function input(id, { name, in: place, required, example, schema }) {
  const value = known.get(name) ?? (required ? example ?? '' : '');
  const attributes = { id, name, value, autocomplete: 'off', spellcheck: 'false', 'data-in': place };
  return el('div', { class: 'input' },
    el('label', { for: id }, el('code', {}, name), required ? ' required' : ''),
    el('input', { ...attributes, type: 'text', placeholder: schema.default ?? '' }));
}

function bodyInput(id, media, example) {
  const isForm = media === 'multipart/form-data';
  const control = isForm
    ? el('input', { id, type: 'file', name: 'file', accept: 'video/*', 'data-in': 'file' })
    : el('textarea', { id, rows: 6, spellcheck: 'false', 'data-in': 'body' }, JSON.stringify(example, null, 2));
  return el('div', { class: 'input wide' }, el('label', { for: id }, isForm ? el('code', {}, 'file') : 'Body'), control);
}

// Returns the request that the form describes. Empty fields are left out.
function requestOf(form, path, method) {
  const url = new URL(location.origin);
  const request = { method: method.toUpperCase(), headers: {}, cache: 'no-store' };
  for (const control of form.elements) {
    const { name, value, files } = control;
    if (control.dataset.in === 'path') path = path.replace(`{${name}}`, encodeURIComponent(value));
    if (control.dataset.in === 'query' && value) url.searchParams.set(name, value);
    if (control.dataset.in === 'header' && value) request.headers[name] = value;
    if (control.dataset.in === 'body') Object.assign(request, { body: value }).headers['Content-Type'] = 'application/json';
    if (control.dataset.in === 'file') {
      request.body = new FormData();
      if (files.length) request.body.append(name, files[0]);
    }
  }
  url.pathname = path;
  return [url, request];
}

// Returns undefined for a text that is not JSON, such as a playlist.
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// Returns a form for an operation. A GET that creates nothing is sent when the form is opened, everything else when the
// button is pressed.
export function tryIt({ path, method, details, parameters, media, example }) {
  const { operationId: id, summary: about, tags, responses } = details;
  // GET /presign and /s3/params create a video.
  const isSafe = method === 'get' && !tags.includes('Upload');
  const output = el('div', { class: 'output' });
  const button = el('button', { class: `button ${method === 'delete' ? 'danger' : 'primary'}`, 'aria-label': `Send: ${about}` }, 'Send');
  const form = el('form', {},
    parameters.map((parameter) => input(`${id}-${parameter.name}`, parameter)),
    media ? bodyInput(`${id}-body`, media, example) : '',
    el('p', { class: 'send' }, button, el('code', {}, `${method.toUpperCase()} ${path}`)));
  const block = el('details', { class: 'try' },
    el('summary', {}, 'Try it', el('span', { class: 'visually-hidden' }, `: ${about}`)), form, output);

  let sending = false;
  async function send() {
    if (sending) return;
    sending = true;
    const [url, request] = requestOf(form, path, method);
    form.querySelector('.send code').textContent = `${request.method} ${url.pathname}${url.search}`;
    const started = performance.now();
    try {
      const response = await fetch(url, request);
      const text = await response.text();
      const { status, statusText, ok, headers } = response;
      const name = `${status} ${statusText}`.trim();
      const json = parse(text);
      const body = (json === undefined ? text : JSON.stringify(json, null, 2)).slice(0, MAX_SHOWN);
      output.replaceChildren(
        el('p', { class: ok || status === 304 ? 'good' : 'bad' },
          el('code', { class: 'status' }, name), ` in ${Math.round(performance.now() - started)} ms`),
        codeBlock('Headers', `Response of ${about}`, [...headers].map((header) => header.join(': ')).join('\n')),
        body && codeBlock('Body', `Response of ${about}`, body));
      announce(`Response: ${name}`);
      rememberLinks(responses[status]?.links ?? {}, json);
    } catch (error) {
      output.replaceChildren(el('p', { class: 'error', role: 'alert' }, `The backend did not respond: ${error.message}`));
    }
    sending = false;
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send();
  });
  block.addEventListener('toggle', async () => {
    if (!block.open || output.hasChildNodes()) return;
    if (form.elements.videoId && !known.has('videoId')) {
      const latest = await fetch('/videos?limit=1').then((response) => response.json()).catch(() => ({}));
      if (latest.videos?.length) remember('videoId', latest.videos[0].videoId);
    }
    if (isSafe) send();
  });
  return block;
}
