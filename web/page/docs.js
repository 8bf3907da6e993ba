// Shows /openapi.json. What is not used there is not understood here.

const METHODS = ['get', 'put', 'post', 'delete'];
const api = location.origin;

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat().filter((child) => child !== undefined && child !== ''));
  return node;
}

// `code`, and nothing else of Markdown.
const inline = (text) => text.split('`').map((part, i) => (i % 2 ? el('code', {}, part) : part));
const paragraphs = (text = '') => text.trim().split(/\n\s*\n/).filter(Boolean).map((part) => el('p', {}, inline(part)));
const json = (value) => el('pre', { tabindex: 0 }, el('code', {}, JSON.stringify(value, null, 2)));

let document_;
// What lies beside a $ref says more of the same thing.
function resolve(node) {
  if (!node?.$ref) return node ?? {};
  const { $ref, ...more } = node;
  const target = $ref.slice(2).split('/').reduce((at, name) => at[name], document_);
  const whole = { ...resolve(target), ...more };
  if (more.properties) whole.properties = { ...resolve(target).properties, ...more.properties };
  return whole;
}

/* Schemas */

function limits(schema) {
  const { minimum: low, maximum: high } = schema;
  const range = (a, b, unit) => {
    if (a !== undefined && b !== undefined) return `${a} to ${b}${unit}`;
    if (b !== undefined) return `at most ${b}${unit}`;
    return a > 1 || (a === 1 && !unit) ? `at least ${a}${unit}` : '';
  };
  return [
    range(low, high, ''),
    schema.maxLength && range(schema.minLength, schema.maxLength, ' characters'),
    schema.default !== undefined && `by default ${schema.default}`,
  ].filter(Boolean).join(', ');
}

function kind(schema) {
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  // Null is as good as absent, so it is not worth a word.
  const either = (schema.anyOf ?? []).map(resolve).filter((one) => one.type !== 'null').map(kind);
  if (either.length) return [...new Set(either)].join(' | ');
  const type = [schema.type ?? 'any'].flat().filter((one) => one !== 'null').join(' | ');
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
  const ways = (schema.oneOf ?? []).map((one) => {
    const way = resolve(one);
    const names = (way.allOf ?? []).flatMap((part) => resolve(part).anyOf ?? []).map((part) => part.properties);
    const properties = { method: undefined, ...Object.assign({}, ...names.map(present)), ...way.properties };
    return el('li', {}, el('div', { class: 'field' }, el('strong', {}, way.title)), fields({ ...way, properties: present(properties) }));
  });
  if (!named.length && !ways.length) return '';
  const rows = named.map(([name, value]) => field(name, value, schema.required?.includes(name)));
  return el('ul', { class: 'fields' }, rows, ways);
}

/* Operations */

const exampleOf = (media) => media.example ?? Object.values(media.examples ?? {})[0]?.value;

function section(title, ...content) {
  return el('div', { class: 'part' }, el('h4', {}, title), ...content);
}

function command(path, method, parameters, body) {
  let url = path;
  const query = [];
  for (const { name, in: place, example, required } of parameters) {
    if (place === 'path') url = url.replace(`{${name}}`, example ?? `{${name}}`);
    if (place === 'query' && (required || example) && name !== 'cursor') query.push(`${name}=${encodeURIComponent(example ?? '')}`);
  }
  const [media, content] = Object.entries(body?.content ?? {})[0] ?? [];
  const lines = ['curl'];
  if (method !== 'get' && !(method === 'post' && media)) lines[0] += ` -X ${method.toUpperCase()}`;
  if (media === 'multipart/form-data') lines.push("-F 'file=@clip.mp4'");
  else if (media) lines.push(`--json '${JSON.stringify(exampleOf(content))}'`);
  lines.push(`'${api}${url}${query.length ? `?${query.join('&')}` : ''}'`);
  const line = lines.join(' ');
  return el('pre', { tabindex: 0 }, el('code', {}, line.length < 90 ? line : lines.join(' \\\n  ')));
}

function answer(status, node) {
  const response = resolve(node);
  const [media, content] = Object.entries(response.content ?? {})[0] ?? [];
  const schema = resolve(content?.schema);
  const codes = media === 'application/problem+json' ? schema.properties.code : undefined;
  const example = content && (exampleOf(content) ?? (codes ? undefined : schema.example));
  const inner = schema.type === 'array' ? resolve(schema.items) : schema;
  return el('li', { class: status < '3' ? 'good' : 'bad' },
    el('div', { class: 'field' },
      el('code', { class: 'status' }, status),
      el('span', {}, inline(response.description)),
      ...(codes?.enum ?? (codes?.const ? [codes.const] : [])).map((code) => el('code', { class: 'code' }, code))),
    ...Object.entries(response.headers ?? {}).map(([name, header]) =>
      el('p', { class: 'explained' }, el('code', {}, name), ': ', inline(resolve(header).description))),
    media && !codes && (inner.properties || example)
      ? el('details', {}, el('summary', {}, 'Body'), fields(inner), example === undefined ? '' : json(example))
      : '');
}

function operation(path, method, item) {
  const it = item[method];
  const parameters = [...(item.parameters ?? []), ...(it.parameters ?? [])].map(resolve);
  const [media, content] = Object.entries(it.requestBody?.content ?? {})[0] ?? [];
  return el('article', { id: it.operationId, class: 'operation' },
    el('h3', {}, el('span', { class: `method ${method}` }, method.toUpperCase()), ' ', el('code', {}, path)),
    el('p', { class: 'summary' }, it.summary),
    ...paragraphs(it.description),
    command(path, method, parameters, it.requestBody),
    parameters.length
      ? section('Parameters', el('ul', { class: 'fields' }, parameters.map((one) =>
        field(`${one.name}`, { ...one.schema, description: `${one.description ?? ''} (${one.in})` }, one.required))))
      : '',
    media ? section(`Body: ${media}`, fields(resolve(content.schema))) : '',
    section('Answers', el('ul', { class: 'fields' }, Object.entries(it.responses).map(([status, node]) => answer(status, node)))));
}

function show(description) {
  document_ = description;
  const main = document.querySelector('#main');
  const contents = document.querySelector('#contents');
  const schemes = Object.values(description.components.securitySchemes).map((scheme) =>
    el('li', {}, el('div', { class: 'field' }, el('code', { class: 'name' }, scheme.name)), el('p', { class: 'explained' }, inline(scheme.description))));
  main.replaceChildren(
    el('p', { class: 'lead' }, description.info.summary),
    ...paragraphs(description.info.description),
    el('div', { class: 'operation' },
      section('Who is asking', el('ul', { class: 'fields' }, schemes)),
      section('Errors', fields(resolve({ $ref: '#/components/schemas/Problem' })), json(description.components.schemas.Problem.example))));
  for (const tag of description.tags) {
    main.append(el('section', {}, el('h2', {}, tag.name), el('p', { class: 'soft' }, tag.description)));
    contents.append(el('h2', {}, tag.name));
    for (const [path, item] of Object.entries(description.paths)) {
      for (const method of METHODS.filter((name) => item[name]?.tags.includes(tag.name))) {
        main.lastChild.append(operation(path, method, item));
        contents.append(el('a', { href: `#${item[method].operationId}` }, el('span', { class: `method ${method}` }, method.toUpperCase()), ' ', path));
      }
    }
  }
  // The browser has looked for it before it was there.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  const answered = await fetch('/openapi.json');
  if (!answered.ok) throw new Error(await answered.text());
  show(await answered.json());
} catch (error) {
  document.querySelector('#main').replaceChildren(el('p', { class: 'notice', role: 'alert' }, `The description cannot be shown: ${error.message}`));
}
