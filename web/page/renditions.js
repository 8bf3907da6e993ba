// Renditions that are encoded when somebody wants to watch them. The user chooses one, the original plays on, and the
// rendition follows as soon as its next seconds are stored, while the rest of it is still being encoded.

const INTERVAL = 2000; // milliseconds between two requests
/** What must be stored from the present position on, before the rendition is played. */
const AHEAD = 10; // seconds
/** The first segment is stored after about this time. The film plays on meanwhile. */
const DELAY = 6; // seconds

const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Returns the renditions that are not complete. */
export const incomplete = ({ renditions = [] }) => (
  renditions.filter(({ status }) => status === 'OFFERED' || status === 'RUNNING'));

/** Returns the text in the menu for a rendition that has no level yet. */
export const labelOf = ({ name, status }) => (
  `${name.slice(1)}p · ${status === 'RUNNING' ? 'being encoded' : 'not encoded yet'}`);

/** Returns the URL of the master playlist that has the renditions that can be played in part, too. */
export function masterUrl({ hlsUrl }) {
  const url = new URL(hlsUrl);
  url.searchParams.set('gaps', 'true');
  return url.href;
}

/** Returns the rendition's name of a level of hls.js. */
export const nameOf = ({ uri }) => new URL(uri).pathname.split('/').at(-2);

/** Returns the segments of a media playlist: when each ends, and whether it is not stored yet. */
function segmentsOf(playlist) {
  let end = 0;
  return playlist.split('#EXTINF:').slice(1).map((text) => {
    end += Number.parseFloat(text);
    return { end, isGap: text.includes('#EXT-X-GAP') };
  });
}

/** Has a rendition encoded and played, until it is complete or canceled. */
export class Preparation {
  /** `player` has the hls.js instance `hls`, and `reload` to start it again with a level. */
  constructor(player, name) {
    Object.assign(this, { player, name, url: new URL(`${name}/index.m3u8`, player.record.hlsUrl) });
    this.run();
  }

  cancel() { this.isOver = true; }

  async run() {
    const { player } = this;
    let isFirst = true;
    while (!this.isOver) {
      const { video } = player;
      const from = player.position + (video.paused || !isFirst ? 0 : DELAY * video.playbackRate);
      isFirst = false;
      const answer = await this.request(from).catch(() => ({})); // the next request may succeed
      if (this.isOver) return;
      if (answer.isRefused) this.cancel();
      if (answer.playlist) this.use(segmentsOf(answer.playlist));
      if (!this.isOver) await sleep(INTERVAL);
    }
    if (player.preparation === this) player.preparation = undefined;
    player.updateRenditions();
  }

  // The first request starts the encoding from the position on.
  async request(from) {
    this.url.search = new URLSearchParams({ gaps: true, from });
    const response = await fetch(this.url);
    if (response.ok) return { playlist: await response.text() };
    if (response.status >= 500) return {};
    return { isRefused: (await response.json()).code !== 'NOT_READY' };
  }

  use(segments) {
    const { player: { hls, video, position }, name } = this;
    if (!hls) return;
    const areStored = (from, to) => segments.every(({ end, isGap }, i) => (
      !isGap || end <= from || (segments[i - 1]?.end ?? 0) >= to));
    const level = hls.levels.findIndex((other) => nameOf(other) === name);
    if (level < 0) {
      if (areStored(position, position + AHEAD)) this.player.reload(name);
      return;
    }
    // hls.js loads such a playlist once, so tell it what has been stored since. It keeps a gap that it has come to, and
    // would never load that fragment. So it gets another one.
    const { fragments = [] } = hls.levels[level].details ?? {};
    for (const [i, fragment] of fragments.entries()) {
      if (fragment.gap && !segments[i].isGap) {
        fragments[i] = Object.assign(Object.create(Object.getPrototypeOf(fragment)), fragment, { gap: false });
      }
    }
    // At a gap, it has switched to another level.
    const { buffered } = video;
    const next = buffered.length ? buffered.end(buffered.length - 1) : position;
    if (hls.loadLevel !== level && areStored(next, next + AHEAD)) hls.loadLevel = level;
    if (!segments.some(({ isGap }) => isGap)) this.cancel();
  }
}
