import { Player } from './player.js';
import { Storyboard } from './storyboard.js';
import { Upload, discard, fingerprint, get, interrupted, isDone, list, remove, watch } from './upreel.js';

const PARALLEL = 3;
const PAGE = 24;
const CODECS = { h264: 'H.264', avc1: 'H.264', h265: 'HEVC', hvc1: 'HEVC', vorbis: 'Vorbis', opus: 'Opus' };
const CONTAINERS = {
  mov: 'QuickTime', mkv: 'Matroska', mpegps: 'MPEG-PS', mpegts: 'MPEG-TS', ogg: 'Ogg', webm: 'WebM',
};
// A file that has not come within the hour was given up elsewhere.
const GIVEN_UP = 3600e3;

const $ = (selector, root = document) => root.querySelector(selector);
const grid = $('#grid');
const notice = $('#notice');
const more = $('#more');
const live = $('#live');
const again = $('#again');
const player = new Player($('#player'), { clock, format });
const cards = new Map(); // by element
const byId = new Map(); // by videoId
const queue = [];
let cursor;

const path = (videoId) => `/videos/${encodeURIComponent(videoId)}`;
const say = (text) => { live.textContent = text; };

/* Words for people */

// Characters that turn the writing direction can make "fdp.mp4" read as a PDF.
const plain = (name) => name.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '') || 'Unnamed file';

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = n < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(n) / 10));
  const value = n / 1024 ** step;
  return `${step && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

function clock(ms) {
  const s = Math.round(ms / 1000);
  const two = (n) => String(n).padStart(2, '0');
  const rest = `${Math.floor(s / 60) % 60}:${two(s % 60)}`;
  return s < 3600 ? rest : `${Math.floor(s / 3600)}:${rest.padStart(5, '0')}`;
}

// A BlurHash begins with two digits of shape; the next four (base 83) are the average colour.
function average(hash) {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~';
  const colour = [...(hash ?? '').slice(2, 6)].reduce((sum, digit) => sum * 83 + digits.indexOf(digit), 0);
  return hash ? `#${colour.toString(16).padStart(6, '0')}` : '';
}

function left(s) {
  if (s < 1) return 'almost done';
  if (s < 60) return `${Math.round(s)} s left`;
  return s < 3600 ? `${Math.round(s / 60)} min left` : `${(s / 3600).toFixed(1)} h left`;
}

const codec = (name) => CODECS[name.toLowerCase()] ?? name.toUpperCase();

function facts(video) {
  const codecs = [video.videoCodec, video.audioCodec].filter(Boolean).map(codec).join(' + ');
  return [
    video.durationMs != null && clock(video.durationMs),
    video.width && video.height && `${video.width}×${video.height}`,
    codecs,
    video.frameRate && `${+Number(video.frameRate).toFixed(2)} fps`,
    video.hlsUrl && 'HLS',
    video.size != null && bytes(video.size),
  ].filter(Boolean);
}

// What cannot be played, in words.
function format({ videoCodec, container }) {
  const what = videoCodec && codec(videoCodec);
  const where = container && (CONTAINERS[container] ?? container.toUpperCase());
  return [what, where].filter(Boolean).join(' in ') || 'this kind of video';
}

// The server counts bytes; people do not.
const words = (error) => error.message.replace(/\b(\d{5,}) bytes/g, (_, n) => bytes(Number(n)));

/* One card: a file on its way up, then the video it became */

class Card {
  constructor(name) {
    this.el = $('#card').content.firstElementChild.cloneNode(true);
    this.name = plain(name ?? '');
    cards.set(this.el, this);
    const title = $('h3', this.el);
    title.textContent = title.title = this.name;
    $('.bar', this.el).setAttribute('aria-label', `Upload of ${this.name}`);
    const img = $('img', this.el);
    img.alt = `Poster of ${this.name}`;
    this.storyboard = new Storyboard($('.scrub', this.el), this.name, clock, () => this.renew());
    const scrub = $('.scrub', this.el);
    scrub.addEventListener('click', () => this.play(this.storyboard.at));
    scrub.addEventListener('keydown', ({ key }) => { if (key === 'Enter') this.play(this.storyboard.at); });
    for (const [button, act] of Object.entries({
      '.play': () => this.play(),
      '.pause': () => this.upload.pause(),
      '.resume': () => this.upload.resume(),
      '.cancel': () => this.cancel(),
      '.again': () => { again.card = this; again.click(); },
      '.discard': () => this.discard(),
      '.retry': () => enqueue(this),
      '.dismiss': () => { this.upload.cancel(); this.remove(); },
      '.delete': () => this.delete(),
    })) {
      const el = $(button, this.el);
      el.addEventListener('click', act);
      el.setAttribute('aria-label', `${el.dataset.verb ?? el.textContent} ${this.name}`);
    }
    img.addEventListener('error', () => this.renewPoster());
    img.addEventListener('load', () => { img.style.backgroundColor = ''; });
  }

  get busy() { return ['waiting', 'uploading', 'paused', 'finishing'].includes(this.state); }

  set(state, stage, factList, trouble = '') {
    // A button about to vanish would drop the keyboard user back at the top of the page.
    const held = this.el.contains(document.activeElement) && document.activeElement;
    this.state = this.el.dataset.state = state;
    $('.stage', this.el).textContent = stage;
    $('.facts', this.el).replaceChildren(...factList.map((fact) => {
      const span = document.createElement('span');
      span.textContent = fact;
      return span;
    }));
    this.trouble(trouble);
    if (held && !held.checkVisibility()) $('h3', this.el).focus();
    queueMicrotask(work);
    title();
  }

  trouble(text) {
    $('.trouble', this.el).textContent = text;
    $('.trouble', this.el).hidden = !text;
  }

  adopt(videoId) {
    const twin = byId.get(videoId);
    // The list may have been read between the server storing the video and our hearing of it.
    if (twin && twin !== this) twin.remove();
    byId.set(videoId, this);
    this.videoId = videoId;
    $('.json', this.el).href = path(videoId);
    $('.json', this.el).setAttribute('aria-label', `JSON of ${this.name}`);
  }

  bar(sent, total) {
    const percent = total ? Math.floor((sent / total) * 100) : 100;
    const bar = $('.bar', this.el);
    bar.setAttribute('aria-valuenow', percent);
    bar.firstElementChild.style.width = `${percent}%`;
    this.percent = percent;
    return `${percent}%`;
  }

  progress({ state, sent, total, speed, secondsLeft, error }) {
    if (this.upload.videoId && !this.videoId) this.adopt(this.upload.videoId);
    const percent = this.bar(sent, total);
    const facts = [`${bytes(sent)} of ${bytes(total)}`];
    if (speed) facts.push(`${bytes(speed)}/s`, left(secondsLeft));
    $('.bar', this.el).setAttribute('aria-valuetext', `${percent}, ${facts.join(', ')}`);
    if (state === 'sending') this.set('uploading', percent, facts);
    else if (state === 'finishing') this.set('finishing', 'Finishing…', facts);
    else if (state === 'paused') this.set('paused', 'Paused', [...facts, percent]);
    else if (state === 'waiting') {
      const offline = error.code === 'OFFLINE';
      const trouble = offline ? '' : `${words(error)} Trying again…`;
      this.set('uploading', percent, [...facts, offline ? 'offline' : 'trying again'], trouble);
    }
    if (state !== this.told && ['paused', 'waiting'].includes(state)) {
      say(`${this.name} ${state === 'paused' ? 'is paused.' : 'waits for the connection.'}`);
    }
    this.told = state;
  }

  // A reload came in between; the server still has the parts.
  interrupted(entry) {
    this.entry = entry;
    this.adopt(entry.videoId);
    this.bar(entry.sent, entry.size);
    const there = `${bytes(entry.sent)} of ${bytes(entry.size)} are there`;
    this.set('interrupted', 'Interrupted', [there, 'choose the same file again to go on']);
  }

  // Whether the file is the one that was interrupted.
  isOf(file) { return this.state === 'interrupted' && fingerprint(this.entry) === fingerprint(file); }

  async discard() {
    try {
      await discard(this.entry);
      this.remove();
      say(`${this.name} is discarded.`);
    } catch (error) {
      this.trouble(`Not discarded. ${words(error)}`);
    }
  }

  cancel() {
    this.upload.cancel();
    this.remove();
    say(`${this.name} is cancelled.`);
  }

  // In the player; the addresses are signed anew each time.
  async play(at = 0) {
    try {
      const video = await this.renew();
      const { name, storyboard } = this;
      player.open({ video, name, facts: facts(video), at, storyboard, renew: () => this.renew() });
    } catch (error) {
      this.trouble(words(error));
    }
  }

  show(video) {
    const before = this.video?.status;
    this.video = video;
    const time = $('time', this.el);
    const when = new Date(video.uploadTime);
    if (!Number.isNaN(+when)) {
      time.dateTime = video.uploadTime;
      time.title = when.toLocaleString();
      const year = when.getFullYear() === new Date().getFullYear() ? {} : { year: 'numeric' };
      time.textContent = when.toLocaleString(undefined, {
        month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', ...year,
      });
    }
    // Until storage has told the API of a file this page has sent, its record still says PENDING.
    const status = video.status === 'PENDING' && this.file ? 'UPLOADED' : video.status;
    const known = facts(video);
    if (status === 'PROCESSED') this.set('done', video.thumbnailUrl ? '' : 'No poster', known);
    else if (status === 'FAILED') {
      this.set('failed', 'Failed', known, video.error?.message || 'This video could not be processed.');
    } else if (status === 'PENDING') this.set('pending', 'Not uploaded yet', known);
    else this.set('processing', status === 'PROCESSING' ? 'Processing…' : 'Uploaded, waiting…', known);
    this.making(video);
    this.poster(video);
    this.storyboard.show(video);
    if (before !== video.status && (before || this.file)) {
      const news = {
        UPLOADED: 'is uploaded.', PROCESSING: 'is being processed.', PROCESSED: 'is processed.', FAILED: 'failed.',
      };
      say(`${this.name} ${news[status]} ${$('.trouble', this.el).textContent}`);
    }
    if (status !== 'PENDING' || Date.now() - when < GIVEN_UP) this.follow();
  }

  // How far the renditions are.
  making({ transcode: { status, chunksDone, chunksTotal, error } = {} }) {
    const line = $('.making', this.el);
    const [label, bar] = line.children;
    line.hidden = status !== 'RUNNING';
    label.textContent = chunksTotal ? `Making HLS: ${chunksDone} of ${chunksTotal} parts` : 'Making HLS…';
    bar.setAttribute('aria-label', `HLS of ${this.name}`);
    bar.max = chunksTotal || 1;
    if (chunksTotal) bar.value = chunksDone;
    else bar.removeAttribute('value');
    if (status === 'FAILED') this.trouble(`No HLS, only the original. ${error?.message ?? ''}`);
  }

  poster({ thumbnailUrl: url, thumbnailLargeUrl: large, blurHash }) {
    const img = $('img', this.el);
    if (!url) { img.hidden = true; return; }
    // Only the signature differs from one reading to the next: the picture need not load again.
    if (img.hidden || img.src.split('?')[0] !== url.split('?')[0]) {
      img.style.backgroundColor = average(blurHash);
      img.srcset = large ? `${url} 640w, ${large} 1280w` : '';
      img.src = url;
    }
    img.hidden = false;
  }

  async renewPoster() {
    $('img', this.el).hidden = true;
    $('.stage', this.el).textContent = 'No poster';
    // A signed address expires while the page stays open; a second failure is not about that.
    if (this.renewed) return;
    this.renewed = true;
    try {
      this.show(await this.renew());
    } catch { /* the card already says what is missing */ }
  }

  // The same video, with addresses signed anew.
  renew() { return get(this.videoId); }

  async follow() {
    if (this.following || isDone(this.video, true)) return;
    this.following = new AbortController();
    try {
      await watch(this.videoId, {
        renditions: true,
        signal: this.following.signal,
        onChange: (video) => this.show(video),
        onRetry: (error) => {
          const trouble = error.code === 'OFFLINE' ? '' : `${words(error)} Still asking.`;
          this.set(this.state, 'Waiting for the server…', facts(this.video), trouble);
        },
      });
    } catch (error) {
      if (error.status === 404) this.remove();
      else if (this.el.isConnected) this.trouble(words(error));
    }
    this.following = undefined;
  }

  async delete() {
    const dialog = $('#confirm');
    $('bdi', dialog).textContent = this.name;
    dialog.returnValue = '';
    dialog.showModal();
    await new Promise((done) => dialog.addEventListener('close', done, { once: true }));
    if (dialog.returnValue !== 'delete') return;
    try {
      await remove(this.videoId);
    } catch (error) {
      this.trouble(`Not deleted. ${words(error)}`);
      say(`${this.name} was not deleted. ${words(error)}`);
      return;
    }
    this.remove();
    say(`${this.name} is deleted.`);
  }

  remove() {
    const near = this.el.nextElementSibling ?? this.el.previousElementSibling;
    const held = this.el.contains(document.activeElement);
    this.following?.abort();
    this.el.remove();
    cards.delete(this.el);
    queueMicrotask(work);
    title();
    if (byId.get(this.videoId) === this) byId.delete(this.videoId);
    if (held) (near ? $('h3', near) : $('#videos-title')).focus();
  }
}

/* Uploading */

function add(files) {
  for (const file of [...files].reverse()) {
    let card = [...cards.values()].find((one) => one.isOf(file));
    if (!card) {
      card = new Card(file.name);
      grid.prepend(card.el);
    }
    card.file = file;
    card.upload = new Upload(file, { onProgress: (progress) => card.progress(progress) });
    // Prepended last to first, so the one chosen first is both on top and first in the queue.
    enqueue(card, true);
  }
}

function enqueue(card, first = false) {
  if (first) queue.unshift(card); else queue.push(card);
  card.set('waiting', 'Waiting', [bytes(card.file.size)]);
}

// So many are sent at a time; one that is paused gives its place to the next.
function work() {
  const running = () => [...cards.values()].filter(({ state }) => ['uploading', 'finishing'].includes(state)).length;
  while (queue.length && running() < PARALLEL) {
    const card = queue.shift();
    if (card.el.isConnected) send(card);
  }
}

async function send(card) {
  const { file, upload } = card;
  card.set('uploading', '0%', [bytes(file.size)]);
  say(`${card.name} is uploading.`);
  try {
    const { videoId } = await upload.start();
    card.adopt(videoId);
    card.show({ size: file.size, status: 'UPLOADED', uploadTime: new Date().toISOString() });
  } catch (error) {
    if (upload.state === 'cancelled') return;
    byId.delete(card.videoId);
    card.videoId = undefined;
    const why = words(error) + (error.code === 'TOO_LARGE' ? ` This one has ${bytes(file.size)}.` : '');
    // What is refused would be refused again.
    card.set(error.refused ? 'refused' : 'broken', 'Not uploaded', [bytes(file.size)], why);
    say(`${card.name} was not uploaded. ${why}`);
  }
}

function title() {
  const sending = [...cards.values()].filter(({ state }) => state === 'uploading' || state === 'finishing');
  const sum = (of) => sending.reduce((total, { upload }) => total + of(upload), 0);
  const part = sum(({ sent }) => sent) / sum(({ file }) => file.size);
  document.title = part >= 0 ? `${Math.floor(100 * part)}% · Upreel` : 'Upreel';
}

/* The list */

// New videos take their place by time; uploads of this page keep theirs on top.
function place(video) {
  const known = byId.get(video.videoId);
  if (known) {
    if (!known.busy && !(known.state === 'interrupted' && video.status === 'PENDING')) known.show(video);
    return known;
  }
  const card = new Card(video.filename);
  card.adopt(video.videoId);
  const older = [...grid.children].find((el) => {
    const other = cards.get(el).video;
    return other && Date.parse(other.uploadTime) < Date.parse(video.uploadTime);
  });
  grid.insertBefore(card.el, older ?? null);
  card.show(video);
  return card;
}

// What another tab or curl has deleted: it would be in this page of the list.
function sweep({ videos, cursor: further }) {
  const there = new Set(videos.map(({ videoId }) => videoId));
  const oldest = further ? videos.at(-1).uploadTime : '';
  for (const card of [...cards.values()]) {
    const settled = ['done', 'failed', 'pending'].includes(card.state);
    if (settled && !there.has(card.videoId) && card.video.uploadTime > oldest) card.remove();
  }
}

let offered = false;

async function load(from) {
  try {
    if (!offered) {
      for (const entry of await interrupted()) {
        const card = new Card(entry.name);
        grid.prepend(card.el);
        card.interrupted(entry);
      }
      offered = true;
    }
    const page = await list({ limit: PAGE, cursor: from });
    const placed = page.videos.map(place);
    if (!from) sweep(page);
    // A fresh look at the newest must not forget how far down the list has been read.
    if (from || grid.ariaBusy === 'true') cursor = page.cursor;
    notice.hidden = true;
    grid.ariaBusy = 'false';
    const held = document.activeElement === more;
    more.hidden = !cursor;
    if (from) say(`${placed.length} more videos.`);
    if (held && more.hidden && placed.length) $('h3', placed[0].el).focus();
  } catch (error) {
    if (!navigator.onLine) return; // said by a notice of its own
    $('p', notice).textContent = `The list could not be read. ${words(error)}`;
    notice.hidden = false;
  }
}

more.addEventListener('click', async () => {
  if (more.ariaDisabled === 'true') return;
  more.ariaDisabled = 'true';
  await load(cursor);
  more.ariaDisabled = 'false';
});
$('button', notice).addEventListener('click', () => load());
// Someone who has just uploaded with curl comes back to this window to see it.
window.addEventListener('focus', () => load());

function connection() {
  $('#offline').hidden = navigator.onLine;
  if (navigator.onLine) load();
}
window.addEventListener('online', connection);
window.addEventListener('offline', connection);

/* Choosing and dropping */

$('#file').addEventListener('change', (event) => {
  add(event.target.files);
  // Choosing the same file again has to count as a change.
  event.target.value = '';
});

again.addEventListener('change', () => {
  const { card, files: [file] } = again;
  again.value = '';
  if (!file || !card) return;
  if (card.isOf(file)) add([file]);
  else {
    const wanted = `Choose “${card.name}” with ${bytes(card.entry.size)}.`;
    card.trouble(`“${plain(file.name)}” is another file, or has been changed. ${wanted}`);
  }
});

const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
let depth = 0; // dragenter and dragleave come for every element passed over
const drag = (step) => {
  depth = step ? Math.max(0, depth + step) : 0;
  document.body.classList.toggle('dragging', depth > 0);
};
document.addEventListener('dragenter', (event) => { if (carriesFiles(event)) drag(1); });
document.addEventListener('dragleave', (event) => { if (carriesFiles(event)) drag(-1); });
document.addEventListener('dragover', (event) => { if (carriesFiles(event)) event.preventDefault(); });
document.addEventListener('drop', (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  drag(0);
  add(event.dataTransfer.files);
});

window.addEventListener('beforeunload', (event) => {
  if ([...cards.values()].some((card) => card.busy)) event.preventDefault();
});

/* Commands to copy */

for (const figure of document.querySelectorAll('figure')) {
  const code = $('code', figure);
  const button = $('.copy', figure);
  code.textContent = code.textContent.replaceAll('http://127.0.0.1:3000', location.origin);
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
      say('Copied.');
    } catch {
      // No clipboard outside localhost or HTTPS: leave the text selected for the keyboard.
      getSelection().selectAllChildren(code);
      button.textContent = 'Selected';
      say('Selected. Press Ctrl+C or Command+C to copy.');
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
}

connection();
