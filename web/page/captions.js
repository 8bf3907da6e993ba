// Captions: shows them in the player, and lets the user add and remove them.

import { putCaptions, removeCaptions } from './upreel.js';

const LANGUAGES = [
  'af', 'am', 'ar', 'az', 'be', 'bg', 'bn', 'bs', 'ca', 'cs', 'cy', 'da', 'de', 'el', 'en', 'en-GB', 'en-US', 'es',
  'es-419', 'et', 'eu', 'fa', 'fi', 'fr', 'fr-CA', 'ga', 'gd', 'gl', 'gu', 'ha', 'he', 'hi', 'hr', 'hu', 'hy', 'id',
  'ig', 'is', 'it', 'ja', 'ka', 'kk', 'km', 'kn', 'ko', 'lb', 'lt', 'lv', 'mk', 'ml', 'mn', 'mr', 'ms', 'nb', 'ne',
  'nl', 'no', 'pa', 'pl', 'pt', 'pt-BR', 'ro', 'ru', 'si', 'sk', 'sl', 'sq', 'sr', 'sv', 'sw', 'ta', 'te', 'th', 'tr',
  'uk', 'ur', 'vi', 'yo', 'yue', 'zh', 'zh-Hans', 'zh-Hant',
];
const names = new Intl.DisplayNames(undefined, { type: 'language' });
const collator = new Intl.Collator();

/** The language in a file name, such as `film.pt-br.srt`, if it is in the list. */
const languageOf = (fileName) => {
  const tag = fileName.split('.').at(-2)?.toLowerCase();
  return LANGUAGES.find((language) => language.toLowerCase() === tag);
};

/**
 * The captions of the video that is played, as `track` elements: the same for HLS, for the file of the original, and
 * with a CDN, whose playlists have none. So the tracks that hls.js makes of other playlists are not needed.
 */
export class Tracks {
  constructor(video) {
    this.video = video;
    this.elements = [];
    video.textTracks.addEventListener('change', () => this.load());
  }

  /** Replaces the tracks. `renew` returns the video with newly signed URLs. */
  show(captions, renew) {
    for (const { src, el } of this.elements) {
      el.remove();
      URL.revokeObjectURL(src);
    }
    this.renew = renew;
    this.elements = captions.map(({ language, label, kind }) => {
      const el = Object.assign(document.createElement('track'), { kind, label, srclang: language });
      this.video.append(el);
      return { el };
    });
  }

  // Loads the tracks that are chosen. From the page, because the element would need CORS for the video too, and URLs
  // expire.
  async load() {
    for (const track of this.elements) {
      if (track.el.track.mode === 'disabled' || track.loading) continue;
      track.loading = true;
      try {
        const { captions = [] } = await this.renew();
        const { url } = captions.find(({ language }) => language === track.el.srclang);
        const response = await fetch(url);
        if (!response.ok) throw new Error(`status ${response.status}`);
        const src = URL.createObjectURL(await response.blob());
        // Another video may have been opened meanwhile.
        if (track.el.isConnected) track.el.src = track.src = src;
        else URL.revokeObjectURL(src);
      } catch {
        // The user can choose it again.
        track.loading = false;
        track.el.track.mode = 'disabled';
      }
    }
  }
}

/** Shows the captions of a card's video, to add and to remove them. */
export async function editCaptions(card, { messageOf, announce }) {
  const dialog = document.querySelector('#captions');
  const form = dialog.querySelector('form');
  const list = dialog.querySelector('.tracks');
  const error = dialog.querySelector('.error');
  const { language: select, file: input } = form.elements;
  const closed = new AbortController();
  const showError = (text) => {
    error.textContent = text;
    error.hidden = !text;
  };

  // Makes a change, and shows the video after it.
  const change = async (request, done) => {
    showError('');
    form.inert = list.inert = true;
    try {
      card.show(await request());
      announce(done);
    } catch (failure) {
      showError(messageOf(failure));
    }
    form.inert = list.inert = false;
    if (!closed.signal.aborted) show();
  };

  const show = () => {
    list.replaceChildren(...(card.video.captions ?? []).map(({ language, label }) => {
      const item = document.createElement('li');
      const name = document.createElement('bdi');
      name.textContent = label;
      const button = document.createElement('button');
      Object.assign(button, { type: 'button', className: 'quiet delete', textContent: 'Remove' });
      button.setAttribute('aria-label', `Remove ${label}`);
      button.addEventListener('click', async () => {
        await change(async () => {
          await removeCaptions(card.videoId, language);
          return card.renew();
        }, `${label} was removed.`);
        select.focus();
      });
      item.append(name, button);
      return item;
    }));
    list.hidden = !list.children.length;
  };

  if (!select.length) {
    const options = LANGUAGES.map((language) => new Option(names.of(language), language));
    select.append(...options.sort((a, b) => collator.compare(a.text, b.text)));
  }
  select.value = [navigator.language, navigator.language.split('-')[0]].find((tag) => LANGUAGES.includes(tag)) ?? 'en';
  input.accept = '.vtt,.srt,text/vtt';
  input.value = '';
  dialog.querySelector('bdi').textContent = card.name;
  showError('');
  show();
  const { signal } = closed;
  input.addEventListener('change', () => {
    const language = languageOf(input.files[0]?.name ?? '');
    if (language) select.value = language;
  }, { signal });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const [file] = input.files;
    const name = select.selectedOptions[0].text;
    await change(() => putCaptions(card.videoId, select.value, file, { label: name }), `Captions were added: ${name}.`);
    if (error.hidden) input.value = '';
    input.focus();
  }, { signal });
  dialog.querySelector('.done').addEventListener('click', () => dialog.close(), { signal });
  dialog.addEventListener('close', () => closed.abort(), { once: true });
  dialog.showModal();
}
