use super::Language;

/// Many words differ by an accent alone, and many people write none: where the word without accents is another common word
/// (`đúng`, right), the accents are asked for.
pub const RULES: Language = Language {
    classes: &[
        (
            "tin",
            "tin|tin_nhan|sms|quang_cao|thong_bao|khuyen_mai|tin_tuc|nhan_tin|spam|thu|mms|text|message|messages|texts",
        ),
        (
            "dung",
            "dung|dung_co|ngung|ngung_viec|khong_duoc|cho_co|xin_dung|lam_on_dung|cham_dut|thoi|het|mien|ngung_ngay|dung_bao_gio|dung_viec|stop|khong_nen|cam",
        ),
        (
            "gui",
            "gui|nhan_tin|nhan|lien_lac|lien_he|lam_phien|quay_ray|spam|text|phien|quay_nhieu|goi_va_nhan_tin",
        ),
        (
            "toi",
            "toi|minh|tui|em|anh|chi|con|chung_toi|so_nay|so_toi|toi_nua",
        ),
    ],
    asks: &[
        "<dung> *1 <gui> *2 <tin>|cho|<toi>|nua|vao|den|toi|$",
        "<dung> *1 lam_phien|quay_ray|spam|lien_lac|lien_he|quay_nhieu",
        "<dung> *2 <gui> *4 nua",
        "<dung> *1 goi *3 nua",
        "<dung> *2 <tin>",
        "khong|ko|k|chang|hong|khg|kg *1 muon|can|thich|dong_y|co_nhu_cau|yeu_cau|dang_ky|ham *2 nhan|<tin>|bi|duoc|nghe|lien *3",
        "khong|ko|k|chang *1 <gui> *3 nua",
        "khong|ko|k *1 muon|can|nhan *3 nua",
        "khong|ko *1 quan_tam *2 <tin>|nua|den",
        "khong|chua *1 he|bao_gio? *1 dang_ky",
        "xoa|bo|go|loai|rut|huy|xoa_bo|lay *1 so|ten|sdt|so_dien_thoai|thong_tin|lien_he *1 cua? *1 <toi>|nay",
        "xoa|bo|go|loai|rut|dua|cho *1 so|ten|sdt|<toi> *3 ra|khoi|danh_sach",
        "ra_khoi|khoi *1 danh_sach|list",
        "huy *1 dang_ky|nhan|tin|sms|goi_tin|theo_doi|dich_vu_tin|thong_bao|<tin>",
        "tu_choi *1 nhan|<tin>",
        "tat|chan|khoa *2 <tin>|so_nay",
        "nham|sai|lon|lam *1 so|nguoi|may",
        "khong *1 phai *1 so|sdt *1 cua",
        "de *1 <toi> *1 yen",
        "bao_cao|to_cao|kien|khieu_nai|phan_anh *3 spam|cong_an|ban|cac|so_nay|luat_su|len",
        "luat_su *1 cua *1 toi",
        "lam_sao|cach|muon *4 ngung|dung|huy *2 nhan|<tin>",
        "phien|met|chan *3 <tin> *1 qua|nay",
        "tin_rac|lam_phien_qua|spam_qua",
    ],
    unless: &[
        "khong|ko *1 ngung|=dừng|=ngừng",
        "xin_loi *3 lam_phien|phien|tre",
        "dung *1 quen|lo|ngai",
        "khong|ko|chua nhan|thay|co duoc|thay|tin *2",
        "khong|ko muon huy|bo_lo|lam_phien|mat",
        "khong|ko lam_phien",
        "huy|xoa|doi|bo *3 lich|hen|cuoc_hen|don_hang|dat|kham|rang|so_du|hop_dong|phong",
        "toi|em|anh|minh *1 goi|nhan|gui|bam *1 nham",
        "soan|tra_loi|gui *1 stop|huy|tc",
        "neu *2 stop|huy|ngung",
        "=đúng",
    ],
    alone: &[
        "=dừng|=ngừng|ngung|=dừng_lại|=ngừng_lại|dung_lai|ngung_lai|huy_dang_ky|huy_nhan_tin|=đừng_nhắn|=đừng_gửi|=đừng_nhắn_tin|khong_nhan_tin|khong_muon_nhan|nham_so|sai_so|lon_so|tu_choi|=đừng_làm_phiền|dung_lam_phien|khong_nhan",
    ],
    whole: &["huy|thoi|=dung|cham_dut|ket_thuc|xoa|bo|ngung_ngay|huy_bo|=thôi_đi|tc"],
    fillers: &[
        "lam_on|xin|vui_long|cam_on|xin_chao|chao|ngay|di|nhe|nha|a|oi|ban|nua|giup|dum|voi|gium|ngay_lap_tuc|ngay_bay_gio|tin_nhan",
    ],
    signatures: &["gui_tu_iphone|da_gui_tu|duoc_gui_tu"],
};
