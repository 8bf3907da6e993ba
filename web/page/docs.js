// Renders /openapi.json. Supports only the parts of OpenAPI that this file uses.

import { announce, codeBlock, el } from './elements.js';
import { tryIt } from './try-it.js';

const METHODS = ['get', 'put', 'post', 'patch', 'delete'];
const api = location.origin;

// Renders inline `code`, the only Markdown supported.
const inline = (text) => text.split('`').map((piece, i) => (i % 2 ? el('code', {}, piece) : piece));
const paragraphs = (text = '') => (
  text.trim().split(/\n\s*\n/).filter(Boolean).map((paragraph) => el('p', {}, inline(paragraph))));

const json = (value, about) => codeBlock('JSON', about, here(JSON.stringify(value, null, 2)));
// The examples of the document have the default port.
const here = (text) => text.replaceAll('http://127.0.0.1:3000', api);

let openapi;
// Resolves a $ref. Fields beside it override or extend the referenced object.
function resolve(node) {
  if (!node?.$ref) return node ?? {};
  const { $ref, ...siblings } = node;
  const target = $ref.slice(2).split('/').reduce((at, name) => at[name], openapi);
  const merged = { ...resolve(target), ...siblings };
  if (siblings.properties) merged.properties = { ...resolve(target).properties, ...siblings.properties };
  return merged;
}

/* Schemas */

// Writes large numbers so that people can read them: 5,368,709,120 (5 GiB).
function readable(number) {
  const step = number >= 2 ** 20 ? Math.min(5, Math.floor(Math.log2(number) / 10)) : 0;
  const size = number / 1024 ** step;
  const binary = step && size < 1024 && Number.isInteger(size) ? ` (${size} ${['', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][step]})` : '';
  return number.toLocaleString('en') + binary;
}

function limits(schema) {
  const { minimum: low, maximum: high } = schema;
  const range = (a, b, unit) => {
    // A maximum that JavaScript cannot represent exactly is not a real limit.
    if (b > Number.MAX_SAFE_INTEGER) return range(a, undefined, unit);
    if (a !== undefined && b !== undefined) return `${readable(a)} to ${readable(b)}${unit}`;
    if (b !== undefined) return `at most ${readable(b)}${unit}`;
    return a > 1 || (a === 1 && !unit) ? `at least ${readable(a)}${unit}` : '';
  };
  return [
    range(low, high, ''),
    schema.maxLength && range(schema.minLength, schema.maxLength, ' characters'),
    schema.default !== undefined && `default: ${schema.default}`,
  ].filter(Boolean).join(', ');
}

function kind(schema) {
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  // A null field means the same as an absent one, so null is not listed.
  const alternatives = (schema.anyOf ?? []).map(resolve).filter((option) => option.type !== 'null').map(kind);
  if (alternatives.length) return [...new Set(alternatives)].join(' | ');
  const type = [schema.type ?? 'any'].flat().filter((name) => name !== 'null').join(' | ');
  if (schema.type === 'array') return `${kind(resolve(schema.items))}[]`;
  return schema.format ? `${type} (${schema.format})` : type;
}

function field(name, node, required) {
  const schema = resolve(node);
  const inner = schema.type === 'array' ? resolve(schema.items) : schema;
  return el('li', {},
    el('div', { class: 'field' },
      el('code', { class: 'name' }, name),
      el('span', { class: 'kind' }, kind(schema)),
      required ? el('span', { class: 'required' }, 'required') : ''),
    schema.description || limits(schema)
      ? el('p', { class: 'explained' }, inline([schema.description, limits(schema)].filter(Boolean).join('; ')))
      : '',
    fields(inner));
}

const present = (properties) => Object.fromEntries(Object.entries(properties).filter(([, value]) => value.type !== 'null'));

function fields(schema) {
  const named = Object.entries(schema.properties ?? {});
  const variants = (schema.oneOf ?? []).map((node) => {
    const variant = resolve(node);
    const choices = (variant.allOf ?? []).flatMap((choice) => resolve(choice).anyOf ?? []);
    const names = choices.map((option) => option.properties);
    const properties = { method: undefined, ...Object.assign({}, ...names.map(present)), ...variant.properties };
    return el('li', {},
      el('div', { class: 'field' }, el('strong', {}, variant.title)),
      fields({ ...variant, properties: present(properties) }));
  });
  if (!named.length && !variants.length) return '';
  const rows = named.map(([name, value]) => field(name, value, schema.required?.includes(name)));
  return el('ul', { class: 'fields' }, rows, variants);
}

/* Operations */

const nameOf = (node) => node?.$ref?.split('/').at(-1);
const isShown = (schema) => Boolean(schema.properties || schema.oneOf);

// Returns a link to a schema that has a name, or to that of an array's items.
function schemaLink(node) {
  const schema = resolve(node);
  const name = nameOf(schema.type === 'array' ? schema.items : node);
  return name && isShown(openapi.components.schemas[name]) ? el('a', { href: `#schema-${name}` }, name) : '';
}

const exampleOf = (media) => media.example ?? Object.values(media.examples ?? {})[0]?.value;

function section(title, ...content) {
  return sectionBelow('h4', title, ...content);
}

function sectionBelow(heading, title, ...content) {
  return el('div', { class: 'section' }, el(heading, {}, title), ...content);
}

// The same request with curl and in JavaScript.
function commands(about, path, method, parameters, body) {
  let url = path;
  const query = [];
  for (const { name, in: place, example, required } of parameters) {
    if (place === 'path') url = url.replace(`{${name}}`, example ?? `{${name}}`);
    if (place === 'query' && (required || example) && name !== 'cursor') {
      query.push(`${name}=${encodeURIComponent(example ?? '')}`);
    }
  }
  const target = `${api}${url}${query.length ? `?${query.join('&')}` : ''}`;
  const [media, content] = Object.entries(body?.content ?? {})[0] ?? [];
  const isForm = media === 'multipart/form-data';
  const lines = ['curl'];
  if (method !== 'get' && !(method === 'post' && media)) lines[0] += ` -X ${method.toUpperCase()}`;
  if (isForm) lines.push("-F 'file=@clip.mp4'");
  else if (media) lines.push(`--json '${JSON.stringify(exampleOf(content))}'`);
  lines.push(`'${target}'`);
  const line = lines.join(' ');

  const options = [];
  if (method !== 'get') options.push(`method: '${method.toUpperCase()}'`);
  if (isForm) options.push('body: form');
  else if (media) options.push(`body: JSON.stringify(${JSON.stringify(exampleOf(content))})`);
  const script = [];
  if (isForm) script.push('const form = new FormData();', "form.append('file', input.files[0]);");
  script.push(`const response = await fetch('${target}'${options.length ? `, {\n  ${options.join(',\n  ')},\n}` : ''});`);
  if (method !== 'delete') script.push(/\.m3u8$|\{playlist\}/.test(path) ? 'const playlist = await response.text();' : 'const result = await response.json();');

  return el('div', { class: 'commands' },
    codeBlock('curl', about, line.length < 90 ? line : lines.join(' \\\n  ')),
    codeBlock('JavaScript', about, script.join('\n')));
}

function response(status, node, about) {
  const { description, headers, content: bodies } = resolve(node);
  const [media, content] = Object.entries(bodies ?? {})[0] ?? [];
  const schema = resolve(content?.schema);
  const codes = media === 'application/problem+json' ? schema.properties.code : undefined;
  const example = content && (exampleOf(content) ?? (codes ? undefined : schema.example));
  const inner = schema.type === 'array' ? resolve(schema.items) : schema;
  return el('li', { class: status < '3' ? 'good' : 'bad' },
    el('div', { class: 'field' },
      el('code', { class: 'status' }, status),
      el('span', {}, inline(description)),
      ...(codes?.enum ?? (codes?.const ? [codes.const] : [])).map((code) => el('code', { class: 'code' }, code))),
    ...Object.entries(headers ?? {}).map(([name, header]) =>
      el('p', { class: 'explained' }, el('code', {}, name), ': ', inline(resolve(header).description))),
    media && !codes && (inner.properties || example)
      ? el('details', {}, el('summary', {}, 'Body'), ' ', schemaLink(content.schema), fields(inner), example === undefined ? '' : json(example, `Body of ${status}, ${about}`))
      : '');
}

function operation(path, method, item) {
  const details = item[method];
  const parameters = [...(item.parameters ?? []), ...(details.parameters ?? [])].map(resolve);
  const [media, content] = Object.entries(details.requestBody?.content ?? {})[0] ?? [];
  return el('article', { id: details.operationId, class: 'operation' },
    el('h3', {},
      el('span', { class: `method ${method}` }, method.toUpperCase()), ' ', el('code', {}, path),
      el('a', { class: 'anchor', href: `#${details.operationId}`, 'aria-label': `Link to ${details.summary}` }, '#')),
    el('p', { class: 'summary' }, details.summary),
    ...paragraphs(details.description),
    commands(details.summary, path, method, parameters, details.requestBody),
    tryIt({ path, method, details, parameters, media, example: media && exampleOf(content) }),
    parameters.length
      ? section('Parameters', el('ul', { class: 'fields' }, parameters.map((parameter) => {
        const description = `${parameter.description ?? ''} (${parameter.in})`;
        return field(`${parameter.name}`, { ...parameter.schema, description }, parameter.required);
      })))
      : '',
    media ? section(`Body: ${media}`, schemaLink(content.schema), fields(resolve(content.schema))) : '',
    section('Responses', el('ul', { class: 'fields' },
      Object.entries(details.responses).map(([status, node]) => response(status, node, details.summary)))));
}

function schemaArticle(name, schema) {
  const id = `schema-${name}`;
  const example = schema.example === undefined ? '' : json(schema.example, `Example of ${name}`);
  return el('article', { id, class: 'operation' },
    el('h3', {}, el('code', {}, name), el('a', { class: 'anchor', href: `#${id}`, 'aria-label': `Link to ${name}` }, '#')),
    paragraphs(schema.description), fields(resolve({ $ref: `#/components/schemas/${name}` })), example);
}

function show(description) {
  openapi = description;
  const main = document.querySelector('#main');
  const contents = document.querySelector('#contents');
  const schemes = Object.values(description.components.securitySchemes).map((scheme) =>
    el('li', {},
      el('div', { class: 'field' }, el('code', { class: 'name' }, scheme.name)),
      el('p', { class: 'explained' }, inline(scheme.description))));
  main.replaceChildren(el('div', { id: 'intro' },
    el('p', { class: 'lead' }, description.info.summary), paragraphs(description.info.description)));
  const group = (title, about = '') => {
    const section = el('section', {}, el('h2', {}, title), about && el('p', { class: 'soft' }, about));
    const links = el('div', {}, el('h2', {}, title));
    main.append(section);
    contents.append(links);
    groups.push({ section, links });
    return (article, ...label) => {
      const link = el('a', { href: `#${article.id}` }, ...label);
      section.append(article);
      links.append(link);
      const searched = [...article.children].filter((child) => !child.matches('.commands, .try'));
      entries.push({ article, link, text: searched.map((child) => child.textContent).join(' ').toLowerCase() });
    };
  };
  const addBasic = group('Basics');
  addBasic(el('article', { id: 'authentication', class: 'operation' },
    el('h3', {}, 'Authentication'), el('ul', { class: 'fields' }, schemes)), 'Authentication');
  addBasic(el('article', { id: 'errors', class: 'operation' },
    el('h3', {}, 'Errors'), fields(resolve({ $ref: '#/components/schemas/Problem' })),
    json(description.components.schemas.Problem.example, 'Example of an error')), 'Errors');
  for (const tag of description.tags) {
    const add = group(tag.name, tag.description);
    for (const [path, item] of Object.entries(description.paths)) {
      for (const method of METHODS.filter((name) => item[name]?.tags.includes(tag.name))) {
        add(operation(path, method, item), el('span', { class: `method ${method}` }, method.toUpperCase()), ' ', el('bdi', {}, path));
      }
    }
  }
  const addSchema = group('Schemas');
  for (const [name, schema] of Object.entries(description.components.schemas).filter(([, schema]) => isShown(schema))) {
    addSchema(schemaArticle(name, schema), name);
  }
  // The browser looked for the target before it existed.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

/* Search */

const entries = []; // {article, link, text}
const groups = []; // {section, links}
const found = document.querySelector('#find');

// Shows the articles that contain all words, in their text or in their path and name.
function search() {
  const words = found.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { article, link, text } of entries) {
    article.hidden = link.hidden = !words.every((word) => text.includes(word));
    for (const body of article.querySelectorAll('details:not(.try)')) {
      const matches = words.length > 0 && words.some((word) => body.textContent.toLowerCase().includes(word));
      // Articles that the user has opened stay open.
      if (matches && !body.open) body.dataset.found = 'true';
      if (matches || body.dataset.found) body.open = matches;
      if (!matches) delete body.dataset.found;
    }
  }
  for (const { section, links } of groups) {
    section.hidden = links.hidden = !section.querySelector('article:not([hidden])');
  }
  document.querySelector('#intro').hidden = words.length > 0;
  const count = entries.filter(({ article }) => !article.hidden).length;
  document.querySelector('#no-match').hidden = count > 0;
  announce(words.length ? `${count} of ${entries.length} entries match.` : '');
  highlight(words);
}
found.addEventListener('input', search);

// A link to an article that the search has hidden ends the search.
window.addEventListener('hashchange', () => {
  const target = document.getElementById(location.hash.slice(1));
  if (!target?.hidden) return;
  found.value = '';
  search();
  target.scrollIntoView();
});

// Highlights the words in the articles, in browsers with the CSS Custom Highlight API.
function highlight(words) {
  if (!globalThis.Highlight) return;
  const ranges = [];
  for (const { article } of words.length ? entries.filter((entry) => !entry.article.hidden) : []) {
    const nodes = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
    for (let node = nodes.nextNode(); node; node = nodes.nextNode()) {
      const text = node.data.toLowerCase();
      for (const word of words) {
        for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
          ranges.push(new StaticRange({ startContainer: node, startOffset: at, endContainer: node, endOffset: at + word.length }));
        }
      }
    }
  }
  CSS.highlights.set('found', new Highlight(...ranges));
}

try {
  const response = await fetch('/openapi.json');
  if (!response.ok) throw new Error(await response.text());
  show(await response.json());
} catch (error) {
  const message = `Could not load the API description: ${error.message}`;
  document.querySelector('#main').replaceChildren(el('p', { class: 'notice', role: 'alert' }, message));
}
