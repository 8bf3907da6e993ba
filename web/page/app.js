import { Player } from './player.js';
import { Storyboard } from './storyboard.js';
import { Upload, discard, fingerprint, get, interrupted, isDone, list, remove, watch } from './upreel.js';

const MAX_UPLOADS = 3;
const PAGE_SIZE = 24;
const CODECS = { h264: 'H.264', avc1: 'H.264', h265: 'HEVC', hvc1: 'HEVC', vorbis: 'Vorbis', opus: 'Opus' };
const CONTAINERS = {
  mov: 'QuickTime', mkv: 'Matroska', mpegps: 'MPEG-PS', mpegts: 'MPEG-TS', ogg: 'Ogg', webm: 'WebM',
};
// Age in milliseconds after which a PENDING video counts as abandoned and is no longer polled.
const PENDING_TIMEOUT = 3600e3;

const $ = (selector, root = document) => root.querySelector(selector);
const grid = $('#grid');
const notice = $('#notice');
const more = $('#more');
const liveRegion = $('#live');
const resumeInput = $('#resume-file');
const player = new Player($('#player'), { clock, formatName });
const cards = new Map(); // by element
const byId = new Map(); // by videoId
const queue = [];
let cursor;

const path = (videoId) => `/videos/${encodeURIComponent(videoId)}`;
const announce = (text) => { liveRegion.textContent = text; };

/* Formatting for display */

// Strips control and bidirectional characters, which can make "fdp.mp4" look like a PDF.
const displayName = (name) => name.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '') || 'Unnamed file';

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

// Returns the average colour of a BlurHash: its third to sixth digit, in base 83.
function averageColour(hash) {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~';
  const colour = [...(hash ?? '').slice(2, 6)].reduce((sum, digit) => sum * 83 + digits.indexOf(digit), 0);
  return hash ? `#${colour.toString(16).padStart(6, '0')}` : '';
}

function timeLeft(s) {
  if (s < 1) return 'almost done';
  if (s < 60) return `${Math.round(s)} s left`;
  return s < 3600 ? `${Math.round(s / 60)} min left` : `${(s / 3600).toFixed(1)} h left`;
}

const codec = (name) => CODECS[name.toLowerCase()] ?? name.toUpperCase();

function mediaInfo(video) {
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

// Names the codec and container of a video that cannot be played.
function formatName({ videoCodec, container }) {
  const what = videoCodec && codec(videoCodec);
  const where = container && (CONTAINERS[container] ?? container.toUpperCase());
  return [what, where].filter(Boolean).join(' in ') || 'this kind of video';
}

// Shows byte counts in the server's messages with a unit that is easy to read.
const messageOf = (error) => error.message.replace(/\b(\d{5,}) bytes/g, (_, n) => bytes(Number(n)));

/* A card shows a file while it uploads, then its video */

class Card {
  constructor(name) {
    this.el = $('#card').content.firstElementChild.cloneNode(true);
    this.name = displayName(name ?? '');
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
      '.choose': () => { resumeInput.card = this; resumeInput.click(); },
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

  setState(state, stage, details, error = '') {
    // Hiding the focused button would move the keyboard focus to the top of the page.
    const focused = this.el.contains(document.activeElement) && document.activeElement;
    this.state = this.el.dataset.state = state;
    $('.stage', this.el).textContent = stage;
    $('.details', this.el).replaceChildren(...details.map((detail) => {
      const span = document.createElement('span');
      span.textContent = detail;
      return span;
    }));
    this.showError(error);
    if (focused && !focused.checkVisibility()) $('h3', this.el).focus();
    queueMicrotask(startUploads);
    updateTitle();
  }

  showError(text) {
    $('.error', this.el).textContent = text;
    $('.error', this.el).hidden = !text;
  }

  setVideoId(videoId) {
    const duplicate = byId.get(videoId);
    // The list may have been loaded after the server created the video and before its response arrived here.
    if (duplicate && duplicate !== this) duplicate.remove();
    byId.set(videoId, this);
    this.videoId = videoId;
    $('.json', this.el).href = path(videoId);
    $('.json', this.el).setAttribute('aria-label', `JSON of ${this.name}`);
  }

  setProgress(sent, total) {
    const percent = total ? Math.floor((sent / total) * 100) : 100;
    const bar = $('.bar', this.el);
    bar.setAttribute('aria-valuenow', percent);
    bar.firstElementChild.style.width = `${percent}%`;
    this.percent = percent;
    return `${percent}%`;
  }

  onProgress({ state, sent, total, speed, secondsLeft, error }) {
    if (this.upload.videoId && !this.videoId) this.setVideoId(this.upload.videoId);
    const percent = this.setProgress(sent, total);
    const details = [`${bytes(sent)} of ${bytes(total)}`];
    if (speed) details.push(`${bytes(speed)}/s`, timeLeft(secondsLeft));
    $('.bar', this.el).setAttribute('aria-valuetext', `${percent}, ${details.join(', ')}`);
    if (state === 'sending') this.setState('uploading', percent, details);
    else if (state === 'finishing') this.setState('finishing', 'Finishing…', details);
    else if (state === 'paused') this.setState('paused', 'Paused', [...details, percent]);
    else if (state === 'waiting') {
      const offline = error.code === 'OFFLINE';
      const message = offline ? '' : `${messageOf(error)} Retrying…`;
      this.setState('uploading', percent, [...details, offline ? 'offline' : 'retrying'], message);
    }
    if (state !== this.announced && ['paused', 'waiting'].includes(state)) {
      announce(`${this.name} ${state === 'paused' ? 'is paused.' : 'is waiting for the connection.'}`);
    }
    this.announced = state;
  }

  // Shows an upload that a page reload interrupted. The server still has its parts.
  interrupted(entry) {
    this.entry = entry;
    this.setVideoId(entry.videoId);
    this.setProgress(entry.sent, entry.size);
    const uploaded = `${bytes(entry.sent)} of ${bytes(entry.size)} uploaded`;
    this.setState('interrupted', 'Interrupted', [uploaded, 'choose the same file again to resume']);
  }

  // Whether this card is an interrupted upload of the file.
  matches(file) { return this.state === 'interrupted' && fingerprint(this.entry) === fingerprint(file); }

  async discard() {
    try {
      await discard(this.entry);
      this.remove();
      announce(`The upload of ${this.name} was discarded.`);
    } catch (error) {
      this.showError(`Could not discard the upload. ${messageOf(error)}`);
    }
  }

  cancel() {
    this.upload.cancel();
    this.remove();
    announce(`The upload of ${this.name} was cancelled.`);
  }

  // Opens the player, with newly signed URLs.
  async play(at = 0) {
    try {
      const video = await this.renew();
      const { name, storyboard } = this;
      player.open({ video, name, details: mediaInfo(video), at, storyboard, renew: () => this.renew() });
    } catch (error) {
      this.showError(messageOf(error));
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
    // The record of a file that this page has uploaded stays PENDING until the S3 event is processed.
    const status = video.status === 'PENDING' && this.file ? 'UPLOADED' : video.status;
    const info = mediaInfo(video);
    if (status === 'PROCESSED') this.setState('done', video.thumbnailUrl ? '' : 'No poster', info);
    else if (status === 'FAILED') {
      this.setState('failed', 'Failed', info, video.error?.message || 'This video could not be processed.');
    } else if (status === 'PENDING') this.setState('pending', 'Not uploaded yet', info);
    else this.setState('processing', status === 'PROCESSING' ? 'Processing…' : 'Uploaded, waiting…', info);
    this.showTranscoding(video);
    this.poster(video);
    this.storyboard.show(video);
    if (before !== video.status && (before || this.file)) {
      const texts = {
        UPLOADED: 'is uploaded.',
        PROCESSING: 'is being processed.',
        PROCESSED: 'is ready.',
        FAILED: 'could not be processed.',
      };
      announce(`${this.name} ${texts[status]} ${$('.error', this.el).textContent}`);
    }
    if (status !== 'PENDING' || Date.now() - when < PENDING_TIMEOUT) this.follow();
  }

  // Shows the progress of transcoding.
  showTranscoding({ transcode: { status, chunksDone, chunksTotal, error } = {} }) {
    const line = $('.transcoding', this.el);
    const [label, bar] = line.children;
    line.hidden = status !== 'RUNNING';
    label.textContent = chunksTotal ? `Transcoding: ${chunksDone} of ${chunksTotal} chunks` : 'Transcoding…';
    bar.setAttribute('aria-label', `Transcoding of ${this.name}`);
    bar.max = chunksTotal || 1;
    if (chunksTotal) bar.value = chunksDone;
    else bar.removeAttribute('value');
    if (status === 'FAILED') {
      this.showError(`Transcoding failed. Only the original can be played. ${error?.message ?? ''}`);
    }
  }

  poster({ thumbnailUrl: url, thumbnailLargeUrl: large, blurHash }) {
    const img = $('img', this.el);
    if (!url) { img.hidden = true; return; }
    // If only the signature of the URL has changed, the image need not be loaded again.
    if (img.hidden || img.src.split('?')[0] !== url.split('?')[0]) {
      img.style.backgroundColor = averageColour(blurHash);
      img.srcset = large ? `${url} 640w, ${large} 1280w` : '';
      img.src = url;
    }
    img.hidden = false;
  }

  async renewPoster() {
    $('img', this.el).hidden = true;
    $('.stage', this.el).textContent = 'No poster';
    // Signed URLs expire while the page stays open. A second failure has another cause.
    if (this.posterRenewed) return;
    this.posterRenewed = true;
    try {
      this.show(await this.renew());
    } catch { /* The card already shows that there is no poster. */ }
  }

  // Returns the video with newly signed URLs.
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
          const message = error.code === 'OFFLINE' ? '' : `${messageOf(error)} Retrying…`;
          this.setState(this.state, 'Waiting for the server…', mediaInfo(this.video), message);
        },
      });
    } catch (error) {
      if (error.status === 404) this.remove();
      else if (this.el.isConnected) this.showError(messageOf(error));
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
      this.showError(`Could not delete the video. ${messageOf(error)}`);
      announce(`${this.name} was not deleted. ${messageOf(error)}`);
      return;
    }
    this.remove();
    announce(`${this.name} was deleted.`);
  }

  remove() {
    const neighbour = this.el.nextElementSibling ?? this.el.previousElementSibling;
    const hadFocus = this.el.contains(document.activeElement);
    this.following?.abort();
    this.el.remove();
    cards.delete(this.el);
    queueMicrotask(startUploads);
    updateTitle();
    if (byId.get(this.videoId) === this) byId.delete(this.videoId);
    if (hadFocus) (neighbour ? $('h3', neighbour) : $('#videos-title')).focus();
  }
}

/* Uploading */

function add(files) {
  for (const file of [...files].reverse()) {
    let card = [...cards.values()].find((candidate) => candidate.matches(file));
    if (!card) {
      card = new Card(file.name);
      grid.prepend(card.el);
    }
    card.file = file;
    card.upload = new Upload(file, { onProgress: (progress) => card.onProgress(progress) });
    // The files are prepended last to first, so the first one chosen is on top and first in the queue.
    enqueue(card, true);
  }
}

function enqueue(card, first = false) {
  if (first) queue.unshift(card); else queue.push(card);
  card.setState('waiting', 'Waiting', [bytes(card.file.size)]);
}

// Starts queued uploads, up to MAX_UPLOADS at a time. A paused upload does not count.
function startUploads() {
  const running = () => [...cards.values()].filter(({ state }) => ['uploading', 'finishing'].includes(state)).length;
  while (queue.length && running() < MAX_UPLOADS) {
    const card = queue.shift();
    if (card.el.isConnected) upload(card);
  }
}

async function upload(card) {
  const { file, upload: job } = card;
  card.setState('uploading', '0%', [bytes(file.size)]);
  announce(`${card.name} is uploading.`);
  try {
    const { videoId } = await job.start();
    card.setVideoId(videoId);
    card.show({ size: file.size, status: 'UPLOADED', uploadTime: new Date().toISOString() });
  } catch (error) {
    if (job.state === 'cancelled') return;
    byId.delete(card.videoId);
    card.videoId = undefined;
    const why = messageOf(error) + (error.code === 'TOO_LARGE' ? ` This file has ${bytes(file.size)}.` : '');
    // Retrying makes no sense for a file that the server rejects.
    card.setState(error.refused ? 'refused' : 'broken', 'Not uploaded', [bytes(file.size)], why);
    announce(`${card.name} was not uploaded. ${why}`);
  }
}

function updateTitle() {
  const sending = [...cards.values()].filter(({ state }) => state === 'uploading' || state === 'finishing');
  const sum = (valueOf) => sending.reduce((total, { upload: job }) => total + valueOf(job), 0);
  const fraction = sum(({ sent }) => sent) / sum(({ file }) => file.size);
  document.title = fraction >= 0 ? `${Math.floor(100 * fraction)}% · Upreel` : 'Upreel';
}

/* The list */

// Inserts new videos by upload time. Uploads of this page stay on top.
function showInList(video) {
  const known = byId.get(video.videoId);
  if (known) {
    if (!known.busy && !(known.state === 'interrupted' && video.status === 'PENDING')) known.show(video);
    return known;
  }
  const card = new Card(video.filename);
  card.setVideoId(video.videoId);
  const older = [...grid.children].find((el) => {
    const other = cards.get(el).video;
    return other && Date.parse(other.uploadTime) < Date.parse(video.uploadTime);
  });
  grid.insertBefore(card.el, older ?? null);
  card.show(video);
  return card;
}

// Removes the cards of videos that were deleted elsewhere: they belong on this page of the list, but are not there.
function removeDeleted({ videos, cursor: next }) {
  const listed = new Set(videos.map(({ videoId }) => videoId));
  const oldest = next ? videos.at(-1).uploadTime : '';
  for (const card of [...cards.values()]) {
    const settled = ['done', 'failed', 'pending'].includes(card.state);
    if (settled && !listed.has(card.videoId) && card.video.uploadTime > oldest) card.remove();
  }
}

let interruptedShown = false;

async function load(from) {
  try {
    if (!interruptedShown) {
      for (const entry of await interrupted()) {
        const card = new Card(entry.name);
        grid.prepend(card.el);
        card.interrupted(entry);
      }
      interruptedShown = true;
    }
    const page = await list({ limit: PAGE_SIZE, cursor: from });
    const shown = page.videos.map(showInList);
    if (!from) removeDeleted(page);
    // Reloading the first page keeps the cursor of the pages loaded so far.
    if (from || grid.ariaBusy === 'true') cursor = page.cursor;
    notice.hidden = true;
    grid.ariaBusy = 'false';
    const hadFocus = document.activeElement === more;
    more.hidden = !cursor;
    if (from) announce(`${shown.length} more videos loaded.`);
    if (hadFocus && more.hidden && shown.length) $('h3', shown[0].el).focus();
  } catch (error) {
    if (!navigator.onLine) return; // #offline shows it
    $('p', notice).textContent = `Could not load the list of videos. ${messageOf(error)}`;
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
// Shows videos that were uploaded elsewhere, such as with curl, when the user returns to this window.
window.addEventListener('focus', () => load());

function connection() {
  $('#offline').hidden = navigator.onLine;
  if (navigator.onLine) load();
}
window.addEventListener('online', connection);
window.addEventListener('offline', connection);

/* File input and drag and drop */

$('#file').addEventListener('change', (event) => {
  add(event.target.files);
  // Otherwise choosing the same file again fires no change event.
  event.target.value = '';
});

resumeInput.addEventListener('change', () => {
  const { card, files: [file] } = resumeInput;
  resumeInput.value = '';
  if (!file || !card) return;
  if (card.matches(file)) add([file]);
  else {
    const wanted = `Choose “${card.name}” (${bytes(card.entry.size)}).`;
    card.showError(`“${displayName(file.name)}” is a different file or has been changed. ${wanted}`);
  }
});

const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
let depth = 0; // dragenter and dragleave fire for every element under the pointer
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
      announce('Copied.');
    } catch {
      // The clipboard API needs localhost or HTTPS. Select the text instead, to copy it with the keyboard.
      getSelection().selectAllChildren(code);
      button.textContent = 'Selected';
      announce('Selected. Press Ctrl+C or Command+C to copy.');
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
}

connection();
