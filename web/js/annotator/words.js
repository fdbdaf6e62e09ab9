// Every word of the annotator, in English, Chinese and Japanese. {name} takes a value.
import { EN } from "./words_en.js";
import { JA } from "./words_ja.js";
import { ZH } from "./words_zh.js";

const LANGUAGES = { en: EN, zh: ZH, ja: JA };

/** The language that is spoken: the asked one, or English. */
export const spoken = (language) => (language in LANGUAGES ? language : "en");

/** The words of a language: t(key, values). A key without words is an error of ours. */
export function wordsIn(language) {
  const words = LANGUAGES[spoken(language)];
  return (key, values = {}) => {
    const text = words[key];
    if (text === undefined) throw new Error(`no words for ${key}`);
    return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  };
}
